"""``mmgraph knn verify``: recompute neighbours by brute force."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mmgraph.cli import options as opt
from mmgraph.cli.knn import arguments as arg

WRONG = 1  # exit code of a graph that is not the one of the features


def verify(
    graph: arg.Graph,
    features: Annotated[
        list[Path],
        typer.Option("--features", help="Feature files; repeat for more."),
    ],
    rows: Annotated[
        int,
        typer.Option(
            "--rows", min=0, max=2**31 - 1, help="Rows drawn per graph; 0 takes all."
        ),
    ] = 200,
    seed: opt.Seed = 999,
    device: opt.Device = "cpu",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Recompute rows of each graph in float64, pair by pair, and compare bit for bit.

    Of an undirected graph all rows are recomputed. Exit code 0: all rows checked are
    right. 1: some are wrong, the first is named. 2: the files do not fit. Example:
    mmgraph knn verify graph.pt --features image_feat.npy --features text_feat.npy
    """
    opt.set_up(seed, device, threads, quiet)
    from mmgraph.analysis.knn import verify_graphs
    from mmgraph.analysis.knn.modalities import files_by_graph
    from mmgraph.data import read_graph

    file = read_graph(graph)
    files = files_by_graph(features, file)
    result = verify_graphs(file, files, rows=rows, seed=seed, label=graph)
    graphs = result["graphs"]
    if as_json:
        opt.emit_json(result)
    else:
        for name, row in graphs.items():
            typer.echo(_line(name, row))
    if any(row["wrong_rows"] for row in graphs.values()):
        raise typer.Exit(WRONG)


def _line(name: str, row: dict[str, Any]) -> str:
    other = "" if row["same_features"] else "; it was built from other features"
    if not row["wrong_rows"]:
        return f"{name}: {row['rows_checked']} rows checked, all right{other}"
    item = row["first_wrong_id"]
    called = "" if item is None else f" (item {item})"
    return (
        f"{name}: {row['rows_checked']} rows checked, {row['wrong_rows']} wrong, the "
        f"first is row {row['first_wrong_row']}{called}{other}"
    )
