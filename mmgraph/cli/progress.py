"""Progress on stderr: a bar per training run, of as many as there are at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mmgraph.bench.jobs.watch import OnEpoch, OnUsers, Watch, unwatched


@contextmanager
def training_bars(*, quiet: bool = False) -> Iterator[Watch]:
    """A display of training runs: call it with label, seed and epochs for a bar.

    A bar counts up to the most epochs there can be; early stopping ends it before. It
    vanishes with its run; where stderr is no terminal, a line per run stays.

    Example:
        >>> with training_bars(quiet=True) as watch, watch("VBPR", 999, 10) as on_epoch:
        ...     on_epoch is None
        True
    """
    if quiet:
        yield unwatched
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield partial(_line_at_the_end, console)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("epoch {task.completed}/{task.total} {task.fields[state]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield partial(_bar, progress)


@contextmanager
def _bar(progress: Progress, label: str, seed: int, epochs: int) -> Iterator[OnEpoch]:
    task = progress.add_task(f"{label} seed {seed}", total=epochs, state="")

    def on_epoch(row: dict[str, Any]) -> None:
        progress.update(task, completed=row["epoch"], state=_state(row))

    try:
        yield on_epoch
    finally:
        progress.remove_task(task)


@contextmanager
def _line_at_the_end(
    console: Console, label: str, seed: int, epochs: int
) -> Iterator[OnEpoch]:
    last: dict[str, Any] = {}
    try:
        yield last.update
    finally:
        if last:
            line = f"{label} seed {seed} epoch {last['epoch']}/{epochs} {_state(last)}"
            console.print(line, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def training_bar(
    label: str, seed: int, epochs: int, *, quiet: bool = False
) -> Iterator[OnEpoch | None]:
    """The bar of a single run; its callback takes the rows of the history.

    Example:
        >>> with training_bar("LightGCN", 999, 10, quiet=True) as on_epoch:
        ...     on_epoch is None
        True
    """
    with training_bars(quiet=quiet) as watch, watch(label, seed, epochs) as on_epoch:
        yield on_epoch


@contextmanager
def user_bar(*, quiet: bool = False) -> Iterator[OnUsers | None]:
    """A bar that counts users: call it with their number for what counts them.

    It is there on a terminal alone.

    Example:
        >>> with user_bar(quiet=True) as on_users:
        ...     on_users is None
        True
    """
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("users {task.completed}/{task.total}"),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield lambda count: partial(
            progress.advance, progress.add_task("", total=count)
        )


def _state(row: dict[str, Any]) -> str:
    losses = [value for key, value in row.items() if key.startswith("loss/")]
    parts = [f"loss {sum(losses):.4f}"] if losses else []  # floors have none
    if "valid/recall@20" in row:
        parts.append(f"valid recall@20 {row['valid/recall@20']:.4f}")
    return " ".join(parts)
