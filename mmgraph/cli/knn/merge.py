"""``mmgraph knn merge``: graphs of the same items into one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmgraph.cli import options as opt
from mmgraph.cli.knn import arguments as arg


def merge(
    graphs: Annotated[
        list[Path],
        typer.Argument(metavar="GRAPH...", help=arg.GRAPH),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="GRAPH", help=".pt or .parquet.")
    ],
    seed: opt.Seed = 999,
    device: opt.Device = "cpu",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Put the graphs of several modalities, over the same items, into one file.

    Example: mmgraph knn merge visual.pt textual.pt --out both.pt
    """
    opt.set_up(seed, device, threads, quiet)
    from mmgraph.analysis.knn import graph_report, merge_graphs
    from mmgraph.data import write_graph
    from mmgraph.data.graphs.graph_file import check_out

    check_out(out, num_graphs=1, inputs=graphs)
    merged = merge_graphs(graphs)
    write_graph(out, merged)
    if as_json:
        opt.emit_json(graph_report(merged))
        return
    counts = [f"{name} ({len(g.weight)} edges)" for name, g in merged.graphs.items()]
    typer.echo(f"{merged.num_items} items in {out}: {', '.join(counts)}")
