"""``mmgraph knn build``: the exact graph of each feature file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmgraph.cli import options as opt
from mmgraph.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from mmgraph.data.graph_file import ModalityGraph


def build(
    features: Annotated[
        list[Path],
        typer.Argument(help=".npy, .npz, .safetensors or .parquet, one per modality."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="GRAPH", help=".pt, .npz (of one file) or .parquet."
        ),
    ],
    k: Annotated[int, typer.Option("--k", min=1, help="Neighbours per item.")] = 10,
    metric: Annotated[str, typer.Option("--metric", help="cosine|ip|l2")] = "cosine",
    backend: Annotated[
        str, typer.Option("--backend", help="auto|torch|faiss|faiss-gpu")
    ] = "auto",
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
            "--recall", help="Approximate, with this share of the edges certified."
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
    from mmgraph.analysis.knn.description import overlaps
    from mmgraph.analysis.knn.page import check_report, write_report
    from mmgraph.data.feature_tables import modality_names, read_tables
    from mmgraph.data.graph_file import GraphFile, check_out, write_graph

    check_out(out, len(features))
    if report is not None:
        check_report(report)
    if zero not in ("isolate", "refuse"):
        raise UserError(f"--zero is {zero!r}", "write isolate or refuse")
    names = modality_names(features)
    opt.set_up(seed, device, threads, quiet)
    read = read_tables(names, refuse_nan=nan == "refuse", refuse_zero=zero == "refuse")
    file = GraphFile(len(next(iter(read.tables.values()))), read.ids, {})
    options = {
        "k": k,
        "metric": metric,
        "nan": nan,
        "duplicates": duplicates,
        "symmetrise": symmetrise,
        "weights": weights,
    }
    reports = {}
    for name, path in names.items():
        file.graphs[name], reports[name] = _build(
            read.tables[name], path, options, backend, device, recall, seed
        )
        reports[name]["missing_rows"] = read.missing[name]
        # A row that a file lacks is zero in the table; it is counted once.
        reports[name]["zero_rows"] -= read.missing[name]
    write_graph(out, file)
    result: dict[str, Any] = {"graphs": reports, "overlap": overlaps(file)}
    if len(reports) == 1:
        (result,) = reports.values()
    if report is not None:
        write_report(report, reports, overlaps(file), result)
    if as_json:
        opt.emit_json(result)
        return
    for name, row in reports.items():
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


def _build(
    features: np.ndarray,
    path: Path,
    options: dict[str, Any],
    backend: str,
    device: str,
    recall: float | None,
    seed: int,
) -> tuple[ModalityGraph, dict[str, Any]]:
    import time

    from mmgraph.analysis.knn.description import certified, describe
    from mmgraph.bench.memory import peak_memory, reset_peak_memory
    from mmgraph.data.feature_tables import as_tensor
    from mmgraph.data.graph_file import ModalityGraph
    from mmgraph.device import resolve_device
    from mmgraph.knn import (
        approximate_knn_graph,
        edge_weights,
        knn_graph,
        symmetrise,
    )
    from mmgraph.knn.digest import feature_digest, graph_digest
    from mmgraph.knn.rows.usable_rows import usable_rows
    from mmgraph.knn.search.backends import resolve_backend

    where = resolve_device(device)
    x = as_tensor(features).to(where)
    policies = {"nan": options["nan"], "duplicates": options["duplicates"]}
    reset_peak_memory()
    start = time.perf_counter()
    try:
        backend = resolve_backend(backend, where)
        exact, certificate = True, None
        if recall is None:
            edge_index, similarity = knn_graph(
                x,
                options["k"],
                metric=options["metric"],
                backend=backend,
                **policies,
            )
        else:
            found = approximate_knn_graph(
                x,
                options["k"],
                metric=options["metric"],
                recall=recall,
                seed=seed,
                **policies,
            )
            edge_index, similarity = found.edge_index, found.similarity
            exact, certificate = found.exact, certified(found, recall)
        seconds = time.perf_counter() - start
        edge_index, similarity = symmetrise(
            edge_index.cpu(), similarity.cpu(), len(x), options["symmetrise"]
        )
        weight = edge_weights(edge_index, similarity, len(x), options["weights"])
        rows = usable_rows(x, **policies)
    except ValueError as error:
        raise UserError(str(error), "see mmgraph knn build --help", path=path) from None
    facts = {
        **options,
        "features": [str(path)],
        "dim": features.shape[1],
        "input_sha256": feature_digest(features),
        "graph_sha256": graph_digest(edge_index, similarity),
        "exact": exact,
    }
    graph = ModalityGraph(edge_index, similarity, weight, facts)
    described = describe(graph, len(x))
    return graph, {
        "num_nodes": len(x),
        "k": options["k"],
        "num_edges": described.pop("num_edges"),
        "metric": options["metric"],
        "backend": backend,
        "exact": exact,
        "recall": None
        if exact or certificate is None
        else {key: certificate[key] for key in ("estimate", "lower_99")},
        "zero_rows": rows.zero_rows,
        "nan_rows": rows.nan_rows,
        "duplicate_groups": rows.duplicate_groups,
        "components": described.pop("components"),
        "input_sha256": facts["input_sha256"],
        "graph_sha256": facts["graph_sha256"],
        "seconds": seconds,
        "peak_memory_bytes": peak_memory(where),
        "certificate": certificate,
        "collapsed_rows": rows.collapsed_rows,
        "symmetrise": options["symmetrise"],
        "weights": options["weights"],
        **described,
    }
