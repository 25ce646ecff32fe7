"""``mmgraph compare``: runs side by side, with intervals and paired tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmgraph.cli import options as opt

if TYPE_CHECKING:
    from mmgraph.analysis.compare import Compared

NOTES = (
    "Test metrics, each user's averaged over the seeds; sd over seeds. 95 % intervals: "
    "percentile bootstrap of users, or of seeds. Differences to the first system.",
    "p of the paired t test and of Wilcoxon's signed-rank test over users, corrected "
    "over the table by Holm's method. They speak of users, not of seeds.",
)


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN ...",
            help="Folders that mmgraph train or mmgraph bench wrote; the first system "
            "is the one that others are compared with.",
        ),
    ],
    metric: Annotated[
        str, typer.Option("--metric", help="Test metric, as recall@20.")
    ] = "recall@20",
    data: opt.MovedData = None,
    seed: opt.Seed = 0,  # as leaderboards draw, so that both give one interval
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Compare systems: mean, spread, 95 % intervals, paired tests against the first.

    Runs of one system with several seeds count as one system. Example:
    mmgraph compare runs/vbpr runs/clear --metric ndcg@20
    """
    opt.set_up(seed, device, threads, quiet)
    from dataclasses import asdict

    from mmgraph.analysis.compare import compare_systems
    from mmgraph.analysis.per_user import load_measured
    from mmgraph.bench.spec import check_names

    systems = load_measured(runs, data=data, device=device)
    check_names([metric], systems[0].values, "metric")
    rows = compare_systems(systems, metric, seed=seed)
    if as_json:
        opt.emit_json({"metric": metric, "systems": [asdict(row) for row in rows]})
    else:
        _show(rows, metric)


def _show(rows: list[Compared], metric: str) -> None:
    from rich.table import Table

    from mmgraph.analysis.leaderboard.render import (
        decimals,
        ends_text,
        p_text,
        signed_ends_text,
    )

    table = Table("System")
    for name in (
        "Seeds",
        metric,
        "95 %, users",
        "95 %, seeds",
        "Difference",
        "95 %, users",
        "95 %, seeds",
        "p (t)",
        "p (Wilcoxon)",
    ):
        table.add_column(name, justify="right")
    for row in rows:
        mean = decimals(row.mean)
        texts = [
            row.label,
            str(len(row.seeds)),
            mean if row.sd is None else f"{mean} ± {decimals(row.sd)}",
            ends_text(row.over_users),
            ends_text(row.over_seeds) if row.over_seeds else "",
        ]
        against = row.difference
        if against is not None:
            texts += [
                f"{against.mean:+.4f}",
                signed_ends_text(against.over_users),
                signed_ends_text(against.over_seeds) if against.over_seeds else "",
                p_text(against.t_p_value),
                p_text(against.wilcoxon_p_value),
            ]
        table.add_row(*texts)
    console = opt.console()
    console.print(table)
    for note in NOTES:
        console.print(note, style="dim", highlight=False)
