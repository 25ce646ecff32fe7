"""Options that every command takes, and their effects."""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmgraph.cli.arguments.config_file import over_config
from mmgraph.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

#: Far more than any comparison needs, few enough to keep a list of all runs.
_MOST_SEEDS = 1000

#: Longest list of recommendations that can be asked for.
MOST_ITEMS = 2**31 - 1

#: How a system is named; in a help text Rich would take "[@released]" for a style.
SPEC = r"NAME[+PLUGIN]\[@released][:option=value,...]"

Seed = Annotated[int, typer.Option("--seed", help="Seed of all randomness.")]
Device = Annotated[
    str,
    typer.Option("--device", metavar="auto|cpu|cuda[:n]", help="Device to compute on."),
]
Threads = Annotated[
    int, typer.Option("--threads", help="CPU threads; by default as suits the work.")
]
Json = Annotated[
    bool, typer.Option("--json", help="Write results to stdout as JSON, for machines.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no logs.")]
Nan = Annotated[
    str, typer.Option("--nan", help="Rows that are not finite: refuse|isolate.")
]
Zero = Annotated[str, typer.Option("--zero", help="Rows of zeros: isolate|refuse.")]
Duplicates = Annotated[
    str,
    typer.Option("--duplicates", help="Equal rows: keep, or collapse onto the first."),
]
Data = Annotated[
    str, typer.Option("--data", metavar="DIR|synthetic", help="The data set.")
]
SplitRule = Annotated[
    str,
    typer.Option(
        "--split", help="label|per_user|temporal|leave_one_out|cold_items|none"
    ),
]
MovedData = Annotated[
    str | None, typer.Option("--data", metavar="DIR", help="The data, if they moved.")
]
Ray = Annotated[
    str | None,
    typer.Option("--ray", metavar="ADDRESS", help="Of a Ray cluster, or auto."),
]
Gpus = Annotated[
    float | None,
    typer.Option("--gpus", min=0, help="GPUs of a run on Ray; a share, too."),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="K=V",
        help="An option of the model or the trainer.",
        callback=over_config,
    ),
]


_words: ContextVar[Sequence[str]] = ContextVar("words", default=())


def remember_words(words: Sequence[str]) -> None:
    """Keep the words of the command that runs, for the reports that it writes."""
    _words.set(tuple(words))


def command_line() -> str | None:
    """The command that runs, as it can be typed into a shell again; None if none does.

    Example:
        >>> remember_words(["bench", "--data", "my shop"])
        >>> command_line()
        "mmgraph bench --data 'my shop'"
    """
    words = _words.get()
    return shlex.join(["mmgraph", *words]) if words else None


def most_threads() -> int:
    """Threads or processes that a command may be asked for.

    Example:
        >>> most_threads() >= 256
        True
    """
    return max(256, os.cpu_count() or 1)


def check_range(name: str, value: int, low: int, high: int) -> None:
    """Refuse a number that an option may not have.

    Raises:
        UserError: If it is not in ``[low, high]``.

    Example:
        >>> check_range("seeds", 0, 1, 1000)
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: seeds must be in [1, 1000] (got 0) - choose another \
--seeds
    """
    if not low <= value <= high:
        raise UserError(
            f"{name} must be in [{low}, {high}] (got {value})",
            f"choose another --{name}",
        )


def check_gpus(gpus: float | None, ray: str | None) -> None:
    """Refuse GPUs of a cluster without one.

    Example:
        >>> check_gpus(0.5, "auto")
    """
    if gpus is not None and ray is None:
        raise UserError("--gpus is given without --ray", "give both, or neither")


def set_up(
    seed: int,
    device: str,
    threads: int,
    quiet: bool,
    *,
    seeds: int = 1,
    jobs: int = 1,
) -> None:
    """Apply the common options: logs to stderr, seed, device checked, threads.

    Args:
        seed: The seed, or the first of several that follow each other.
        device: Device to compute on.
        threads: CPU threads; 0 leaves torch's choice, or the command's.
        quiet: Show warnings alone.
        seeds: Number of seeds.
        jobs: Number of processes.

    Raises:
        UserError: If a number is out of range, or the device is misspelt or not there.

    Example:
        >>> set_up(seed=0, device="cpu", threads=0, quiet=True)
    """
    check_range("seeds", seeds, 1, _MOST_SEEDS)
    check_range("jobs", jobs, 0, most_threads())
    check_range("threads", threads, 0, most_threads())
    # The trainer puts the epoch into the lower half of torch's 64 bits.
    check_range("seed", seed, 0, 2**32 - seeds)
    level = logging.WARNING if quiet else logging.INFO
    logging.basicConfig(
        stream=sys.stderr, level=level, format="%(message)s", force=True
    )
    import torch

    from mmgraph.device import resolve_device

    resolve_device(device)
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)


def read_settings(pairs: list[str] | None, epochs: int | None) -> dict[str, Any]:
    """Settings of ``--set``, and ``--epochs``, which wins.

    Raises:
        UserError: If a pair has no ``=`` or the key is not a name.

    Example:
        >>> read_settings(["lr=1e-3"], 5)
        {'lr': 0.001, 'epochs': 5}
    """
    from mmgraph.bench.spec import parse_options

    settings = parse_options(pairs or [])
    return settings if epochs is None else settings | {"epochs": epochs}


def console() -> Console:
    """A console on stdout; into a pipe, which has no width, it folds nothing.

    What it prints holds names of the user's, so brackets and colons are no styles.

    Example:
        >>> console().width > 0
        True
    """
    from rich.console import Console

    stdout = Console(markup=False, emoji=False)
    if not stdout.is_terminal:
        stdout.width = 200
    return stdout


def emit_json(result: Any) -> None:
    """Write one JSON document to stdout.

    Example:
        >>> emit_json({"recall@20": 0.5})
        {
          "recall@20": 0.5
        }
    """
    typer.echo(json.dumps(result, indent=2))
