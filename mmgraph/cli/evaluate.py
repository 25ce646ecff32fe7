"""``mmgraph evaluate``: metrics of a trained run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mmgraph.cli import options as opt
from mmgraph.distributed.commands import in_all_processes
from mmgraph.errors import UserError


class Split(StrEnum):
    """Splits that can be evaluated."""

    VALID = "valid"
    TEST = "test"


@in_all_processes
def evaluate(
    run: Annotated[Path, typer.Argument(help="A folder that mmgraph train wrote.")],
    split: Annotated[
        Split, typer.Option("--split", help="Users to rank for.")
    ] = Split.TEST,
    k: Annotated[str, typer.Option("--k", help="Cut-offs, as 10,20.")] = "10,20",
    data: opt.MovedData = None,
    seed: opt.Seed = 999,
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Rank all items for every user of a split and print the metrics.

    Example: mmgraph evaluate runs/freedom --split test --k 10,20
    """
    cutoffs = _cutoffs(k)
    opt.set_up(seed, device, threads, quiet)
    from mmgraph.bench.training import evaluate_run

    metrics = evaluate_run(run, split.value, ks=cutoffs, data=data, device=device)
    if as_json:
        opt.emit_json({"run": str(run), "split": str(split), "metrics": metrics})
        return
    for name, value in metrics.items():
        typer.echo(f"{name:<14} {value:.4f}")


def _cutoffs(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",")]
    if not all(len(w) < 10 and w.isdecimal() and int(w) > 0 for w in words):
        raise UserError(f"cannot read --k {text[:99]!r}", "write cut-offs as 10,20")
    return [int(word) for word in words]
