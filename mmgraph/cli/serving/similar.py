"""``mmgraph similar``: items like given ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmgraph.cli import options as opt
from mmgraph.cli.tables import print_table


def similar(
    source: Annotated[
        Path, typer.Argument(metavar="RUN|GRAPH", help="A run, or a graph file.")
    ],
    items: Annotated[
        str,
        typer.Option(
            "--items", metavar="FILE|id,id", help="One id per line, or a list."
        ),
    ],
    k: Annotated[int, typer.Option("--k", help="Items per item.")] = 10,
    modality: Annotated[
        str | None, typer.Option("--modality", help="Of a graph file; all of them.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.csv|.parquet", help="A table.")
    ] = None,
    data: opt.MovedData = None,
    seed: opt.Seed = 999,
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Show the items that are most like some.

    Of a run, by the cosine of its final item vectors; of a graph, the neighbours there.
    Example: mmgraph similar runs/freedom --items i1,i2 --k 10
    """
    opt.set_up(seed, device, threads, quiet)
    opt.check_range("k", k, 1, opt.MOST_ITEMS)
    from mmgraph.analysis.report.table import Table
    from mmgraph.folders import check_output_file
    from mmgraph.serving.similar import similar_items, source_files
    from mmgraph.train.recommendations import check_table_name, write_table

    if out is not None:
        check_table_name(out)
        check_output_file(out, inputs=[*source_files(source, data), Path(items)])
    table = similar_items(
        source, items, k=k, modality=modality, data=data, device=device
    )
    if out is not None:
        write_table(table, out)
    if as_json:
        opt.emit_json({"similar": table.to_dict(orient="records")})
    elif out is not None:
        typer.echo(f"{len(table)} similar items in {out}")
    else:
        columns = [str(column).replace("_", " ") for column in table.columns]
        print_table(Table(columns, table.to_numpy(dtype=object).tolist()))
