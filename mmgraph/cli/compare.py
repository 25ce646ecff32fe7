"""``mmgraph compare``: runs side by side, with intervals and paired tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmgraph.cli import options as opt


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
    seed: opt.Seed = 0,  # that of leaderboards, so that both give one interval
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Compare systems: mean, deviation, 95 % intervals, paired tests against the first.

    Runs of one system with several seeds count as one system. Example:
    mmgraph compare runs/vbpr runs/clear --metric ndcg@20
    """
    opt.set_up(seed, device, threads, quiet)
    from dataclasses import asdict

    from mmgraph.analysis import compare_systems, comparison_table, load_per_user
    from mmgraph.analysis.compare import NOTES
    from mmgraph.bench.spec import check_names
    from mmgraph.cli.tables import print_table

    systems = load_per_user(runs, data=data, device=device)
    check_names([metric], systems[0].values, "metric")
    rows = compare_systems(systems, metric, seed=seed)
    if as_json:
        opt.emit_json({"metric": metric, "systems": [asdict(row) for row in rows]})
        return
    print_table(comparison_table(rows, metric))
    console = opt.console()
    for note in NOTES:
        console.print(note, style="dim", highlight=False)
