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
    per_user: Annotated[
        Path | None,
        typer.Option(
            "--per-user", metavar="FILE.csv|.parquet", help="Metrics of each user."
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard", metavar="I/N", help="The I-th of N shares of users (--per-user)."
        ),
    ] = None,
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

    With --measures, also what stands in the lists, and for whom. With --per-user also a
    table of user_id and metrics. With --ray a cluster ranks, a share of the users on
    each machine. With --shard machines that know nothing of each other share the users;
    their tables follow each other, and metrics are those of the share. Example:
    mmgraph evaluate runs/freedom --split test --k 10,20 --measures coverage,novelty
    """
    if shard is not None:
        if per_user is None:
            raise UserError("--shard is given without --per-user", "give both")
        if ray is not None:
            raise UserError("--shard and --ray are both given", "give one of them")
    if per_user is not None and (measures or candidates != "all"):
        raise UserError(
            "--per-user is given with --measures or --candidates",
            "evaluate once with it and once with them",
        )
    cutoffs = _cutoffs(k)
    opt.check_gpus(gpus, ray)
    opt.set_up(seed, device, threads, quiet)
    from mmgraph.bench.jobs.cluster_ranking import ranking
    from mmgraph.bench.training import evaluate_run, measure_run
    from mmgraph.distributed.world import world

    for name, value in (("--ray", ray), ("--shard", shard)):
        if value is not None and world().size > 1:
            what = f"{name} is given, and torchrun started this"
            raise UserError(what, "use one of them")

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
            metrics = evaluate_run(
                run,
                split.value,
                ks=cutoffs,
                per_user=per_user,
                shard=shard,
                rank=rank,
                **place,
            )
            found = {"metrics": metrics}
            if per_user is not None:
                head["per_user"] = str(per_user)
            if shard is not None:
                head["shard"] = shard
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
