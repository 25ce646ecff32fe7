"""``mmgraph knn info``: what a graph file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mmgraph.cli import options as opt


def info(
    graph: Annotated[Path, typer.Argument(metavar="GRAPH", help=".pt or .npz.")],
    seed: opt.Seed = 999,
    device: opt.Device = "cpu",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Show how each graph was made, its degrees, hubs and components.

    "intact" says whether the edges still have the hash they were written with. Example:
    mmgraph knn info graph.pt
    """
    from mmgraph.analysis.knn.description import describe, overlaps
    from mmgraph.data.graph_file import read_graph

    opt.set_up(seed, device, threads, quiet)
    from mmgraph.knn.digest import graph_digest

    file = read_graph(graph)
    graphs: dict[str, Any] = {}
    for name, found in file.graphs.items():
        digest = graph_digest(found.edge_index, found.similarity)
        graphs[name] = {
            "num_nodes": file.num_items,
            **found.facts,
            "intact": digest == found.facts["graph_sha256"],
            **describe(found, file.num_items),
        }
    shared = overlaps(file)
    result = {
        "num_nodes": file.num_items,
        "ids": file.ids is not None,
        "graphs": graphs,
        "overlap": shared,
    }
    if as_json:
        opt.emit_json(result)
        return
    from rich.table import Table

    table = Table("", *graphs)
    for key in next(iter(graphs.values()), {}):
        if key not in ("hubs", "in_lists_histogram"):
            table.add_row(key, *(_text(row[key]) for row in graphs.values()))
    opt.console().print(table)
    for row in shared:
        a, b = row["modalities"]
        typer.echo(
            f"{a} and {b} share {row['value']:.4f} of their neighbours, random lists "
            f"{row['expected']:.4f}"
        )


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
