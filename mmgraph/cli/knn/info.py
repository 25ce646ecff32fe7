"""``mmgraph knn info``: the record and the figures of a graph."""

from __future__ import annotations

from typing import Any

import typer

from mmgraph.cli import options as opt
from mmgraph.cli.knn import arguments as arg


def info(
    graph: arg.Graph,
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
    opt.set_up(seed, device, threads, quiet)
    from mmgraph.analysis.knn import graph_report
    from mmgraph.data import read_graph

    result = graph_report(read_graph(graph))
    graphs = result["graphs"]
    if as_json:
        opt.emit_json(result)
        return
    from rich.table import Table

    table = Table("", *graphs)
    for key in next(iter(graphs.values()), {}):
        if key not in ("hubs", "in_lists_histogram"):
            table.add_row(key, *(_text(row[key]) for row in graphs.values()))
    opt.console().print(table)
    for row in result["overlap"]:
        a, b = row["modalities"]
        typer.echo(
            f"{a} and {b} have {row['value']:.4f} of their neighbours in common, "
            f"by chance {row['expected']:.4f}"
        )


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
