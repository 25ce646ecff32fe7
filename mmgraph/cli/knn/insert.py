"""``mmgraph knn insert``: new items into a graph, equal to building it again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmgraph.cli import options as opt
from mmgraph.cli.knn import arguments as arg


def insert(
    graph: arg.Graph,
    features: Annotated[
        list[Path],
        typer.Option(
            "--features", metavar="NEW", help="Rows of the new items, per modality."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="GRAPH")],
    base: Annotated[
        list[Path] | None,
        typer.Option(
            "--base",
            metavar="OLD",
            help="Features the graph was built from, if they moved.",
        ),
    ] = None,
    seed: opt.Seed = 999,
    device: opt.Device = "cpu",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Add the items of NEW behind those of GRAPH, for one product of new with all rows.

    The result has the hash of a graph built from all rows in this order at once. GRAPH
    knows which files it was built from, and they must still hold the same values. NEW
    files are named as those were. Example:
    mmgraph knn insert graph.pt --features new/visual.npy --out graph.pt
    """
    opt.set_up(seed, device, threads, quiet)
    from mmgraph.analysis.knn import insert_items
    from mmgraph.analysis.knn.modalities import files_by_graph, recorded_files
    from mmgraph.data import read_graph, write_graph
    from mmgraph.data.formats.layout import modality_files
    from mmgraph.data.graphs.graph_file import check_out

    file = read_graph(graph)
    old_files = base or recorded_files(file)
    check_out(out, len(file.graphs), inputs=[*features, *old_files])
    new, old = modality_files(features), files_by_graph(base or [], file)
    grown, result = insert_items(file, new, old, label=graph)
    write_graph(out, grown)
    if as_json:
        opt.emit_json(result)
        return
    for name, row in result["graphs"].items():
        typer.echo(
            f"{name}: {row['num_new']} new of {row['num_nodes']} items, "
            f"{row['num_edges']} edges, {row['seconds']:.2f} s, "
            f"sha256 {row['graph_sha256']}"
        )
