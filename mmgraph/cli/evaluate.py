"""``mmgraph evaluate``: metrics of a trained run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

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
    measures: Annotated[
        str,
        typer.Option(
            help="all, or of coverage,gini,novelty,popularity,diversity,users,items."
        ),
    ] = "",
    candidates: Annotated[
        str,
        typer.Option(help="Items to rank, by training interactions: all, warm, cold."),
    ] = "all",
    ray: opt.Ray = None,
    gpus: opt.Gpus = None,
    data: opt.MovedData = None,
    seed: opt.Seed = 999,
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Rank all items for every user of a split and print the metrics.

    With --measures, also what stands in the lists, and for whom. With --ray a cluster
    ranks, a share of the users on each machine. Example:
    mmgraph evaluate runs/freedom --split test --k 10,20 --measures coverage,novelty
    """
    cutoffs = _cutoffs(k)
    opt.check_gpus(gpus, ray)
    opt.set_up(seed, device, threads, quiet)
    from mmgraph.bench.jobs.cluster_ranking import ranking
    from mmgraph.bench.training import evaluate_run, measure_run
    from mmgraph.distributed.world import world

    if ray is not None and world().size > 1:
        raise UserError("--ray is given, and torchrun started this", "use one of them")

    head: dict[str, Any] = {"run": str(run), "split": str(split)}
    place: dict[str, Any] = {"data": data, "device": device}
    with ranking(
        run, split.value, ray=ray, gpus=gpus, threads=threads, **place
    ) as rank:
        if measures or candidates != "all":
            found = measure_run(
                run,
                split.value,
                ks=cutoffs,
                measures=_measures(measures),
                candidates=candidates,
                rank=rank,
                **place,
            )
            head["candidates"] = candidates
        else:
            metrics = evaluate_run(run, split.value, ks=cutoffs, rank=rank, **place)
            found = {"metrics": metrics}
    if as_json:
        opt.emit_json({**head, **found})
        return
    values = {**found["metrics"], **found.get("measures", {})}
    width = max(14, *map(len, values))
    for name, value in values.items():
        typer.echo(f"{name:<{width}} {_shown(value)}")
    for kind, groups in found.get("groups", {}).items():
        _print_groups(kind, groups)


def _measures(text: str) -> list[str]:
    from mmgraph.train.measures import MEASURES

    words = [word.strip() for word in text.split(",") if word.strip()]
    return list(MEASURES) if words == ["all"] else words


def _print_groups(kind: str, groups: dict[str, dict[str, Any]]) -> None:
    from rich.table import Table

    names = list(groups)
    table = Table(f"{kind}, by training interactions", *names)
    for key in groups[names[0]]:
        table.add_row(key, *(_shown(groups[name][key]) for name in names))
    opt.console().print(table)


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}"


def _cutoffs(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",")]
    if not all(len(w) < 10 and w.isdecimal() and int(w) > 0 for w in words):
        raise UserError(f"cannot read --k {text[:99]!r}", "write cut-offs as 10,20")
    return [int(word) for word in words]
