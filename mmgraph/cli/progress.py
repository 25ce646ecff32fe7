"""Progress on stderr: one bar per training run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

OnEpoch = Callable[[dict[str, Any]], None]


@contextmanager
def training_bar(
    label: str, seed: int, epochs: int, *, quiet: bool = False
) -> Iterator[OnEpoch | None]:
    """A bar for one run; its callback takes the rows of the history.

    The bar counts up to the most epochs there can be; early stopping ends it before.

    Example:
        >>> with training_bar("LightGCN", 999, 10, quiet=True) as on_epoch:
        ...     on_epoch is None
        True
    """
    if quiet:
        yield None
        return
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("epoch {task.completed}/{task.total} {task.fields[state]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=console.is_terminal) as progress:
        task = progress.add_task(f"{label} seed {seed}", total=epochs, state="")

        def on_epoch(row: dict[str, Any]) -> None:
            progress.update(task, completed=row["epoch"], state=_state(row))

        yield on_epoch


def _state(row: dict[str, Any]) -> str:
    loss = sum(value for key, value in row.items() if key.startswith("loss/"))
    text = f"loss {loss:.4f}"
    if "valid/recall@20" in row:
        text += f" valid recall@20 {row['valid/recall@20']:.4f}"
    return text
