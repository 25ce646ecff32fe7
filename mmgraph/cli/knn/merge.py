"""``mmgraph knn merge``: graphs of the same items into one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmgraph.cli import options as opt
from mmgraph.errors import UserError

if TYPE_CHECKING:
    from mmgraph.data.graph_file import GraphFile


def merge(
    graphs: Annotated[
        list[Path], typer.Argument(metavar="GRAPH...", help=".pt or .npz files.")
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
    from mmgraph.data.graph_file import check_out, read_graph, write_graph

    opt.set_up(seed, device, threads, quiet)
    first_path, *_ = graphs
    merged: GraphFile | None = None
    for path in graphs:
        file = read_graph(path)
        if merged is None:
            merged = file
            continue
        if file.num_items != merged.num_items or file.ids != merged.ids:
            raise UserError(
                f"the items are not those of {first_path}",
                "build the graphs from files with the same items in the same order, or "
                "all in one mmgraph knn build",
                path=path,
            )
        twice = sorted(set(file.graphs) & set(merged.graphs))
        if twice:
            raise UserError(
                f"a second graph of {twice[0]!r}", "leave one out", path=path
            )
        merged.graphs.update(file.graphs)
    assert merged is not None  # the parser asks for at least one
    check_out(out, len(merged.graphs))
    write_graph(out, merged)
    edges = {name: len(found.weight) for name, found in merged.graphs.items()}
    if as_json:
        opt.emit_json({"num_nodes": merged.num_items, "num_edges": edges})
        return
    listed = ", ".join(f"{name} ({count} edges)" for name, count in edges.items())
    typer.echo(f"{merged.num_items} items in {out}: {listed}")
