"""``mmgraph knn build``: the exact graph of each feature file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mmgraph.cli import options as opt
from mmgraph.cli.knn import arguments as arg


def build(
    features: Annotated[
        list[Path],
        typer.Argument(
            help=".npy, .npz, .safetensors, .parquet or .csv, one per modality."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="GRAPH", help=".pt, .npz (of one file) or .parquet."
        ),
    ],
    k: arg.K = 10,
    metric: arg.Metric = "cosine",
    backend: arg.Backend = "auto",
    weights: Annotated[
        str, typer.Option("--weights", help="similarity|binary|symmetric")
    ] = "similarity",
    symmetrise: Annotated[
        str, typer.Option("--symmetrise", help="none|union|mutual")
    ] = "none",
    nan: opt.Nan = "refuse",
    zero: opt.Zero = "isolate",
    duplicates: opt.Duplicates = "keep",
    recall: Annotated[
        float | None,
        typer.Option(
            "--recall", help="Approximate, with this ratio of the edges certified."
        ),
    ] = None,
    id_col: Annotated[
        str | None,
        typer.Option(
            "--id-col",
            metavar="COLUMN",
            help="Column of the item ids, if it is not called item_id, id, ...",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="Write the report here: .json or .html."),
    ] = None,
    seed: opt.Seed = 999,
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Build the exact kNN graph of each feature file.

    GRAPH.pt holds HeteroData.to_dict(): read it with HeteroData.from_dict(
    torch.load(path, weights_only=True)). GRAPH.npz is a SciPy CSR matrix of weights
    (row = item, columns = its neighbours): scipy.sparse.load_npz(path). GRAPH.parquet
    is a list of edges: centre, neighbour, similarity, with the ids of the files.
    An isolated row (zeros, or missing) gets no edges. Example:
    mmgraph knn build image_feat.npy text_feat.npy --k 10 --out graph.pt
    """
    opt.set_up(seed, device, threads, quiet)
    from mmgraph.analysis.knn import build_graphs
    from mmgraph.analysis.knn.page import check_report, write_report
    from mmgraph.data import write_graph
    from mmgraph.data.formats.layout import modality_files
    from mmgraph.data.graphs.graph_file import check_out

    check_out(out, len(features), inputs=features)
    if report is not None:
        check_report(report, inputs=features)
    file, result = build_graphs(
        modality_files(features),
        k,
        metric=metric,
        nan=nan,
        zero=zero,
        duplicates=duplicates,
        symmetrise=symmetrise,
        weights=weights,
        backend=backend,
        recall=recall,
        id_column=id_col,
        seed=seed,
        device=device,
    )
    write_graph(out, file)
    if report is not None:
        write_report(report, result, file, command=opt.command_line())
    if as_json:
        opt.emit_json(result)
        return
    for name, row in result["graphs"].items():
        typer.echo(
            f"{name}: {row['num_edges']} edges of {row['num_nodes']} items, "
            f"{row['zero_rows'] + row['missing_rows']} without feature, "
            f"{row['duplicate_groups']} groups of "
            f"equal rows, {row['components']} components, {row['backend']}, "
            f"{_recall(row)}{row['seconds']:.2f} s, sha256 {row['graph_sha256']}"
        )


def _recall(row: dict[str, Any]) -> str:
    from mmgraph.analysis.knn.page import rounded_down

    if row["recall"] is None:
        return ""
    lower = rounded_down(row["recall"]["lower_99"])
    return f"recall {row['recall']['estimate']:.4f}, surely {lower}, "
