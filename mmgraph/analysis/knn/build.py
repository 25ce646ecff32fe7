"""kNN graphs of the feature files of a catalogue, with a report of each."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmgraph import knn
from mmgraph.analysis.knn.description import certified, describe, knn_report, overlaps
from mmgraph.bench.memory import peak_memory, reset_peak_memory
from mmgraph.data import GraphFile, ModalityGraph, line_up_features
from mmgraph.data.formats.npy import as_tensor
from mmgraph.data.graphs.graph_file import GraphFacts
from mmgraph.data.importing.id_columns import named_id_columns
from mmgraph.device import resolve_device
from mmgraph.errors import UserError
from mmgraph.knn.digest import feature_digest, graph_digest
from mmgraph.knn.options import check_options
from mmgraph.knn.rows.matrix_statistics import matrix_statistics
from mmgraph.knn.rows.row_groups import RowGroups
from mmgraph.knn.search.backends import resolve_backend


def build_graphs(
    files: Mapping[str, Path],
    k: int = 10,
    *,
    metric: str = "cosine",
    nan: str = "refuse",
    zero: str = "isolate",
    duplicates: str = "keep",
    symmetrise: str = "none",
    weights: str = "similarity",
    backend: str = "auto",
    recall: float | None = None,
    id_column: str | None = None,
    seed: int = 999,
    device: str = "auto",
) -> tuple[GraphFile, dict[str, Any]]:
    """Build the kNN graph of each feature file, all over the same items.

    Args:
        files: Feature file of each modality, see
            :func:`mmgraph.data.line_up_features`.
        k: Neighbours per item.
        metric: ``cosine``, ``ip`` or ``l2``, see :func:`mmgraph.knn.knn_graph`.
        nan: ``refuse`` a row with NaN or infinity, or ``isolate`` it.
        zero: ``isolate`` a row of zeros, or ``refuse`` it.
        duplicates: ``keep`` equal rows, or ``collapse`` them onto the first.
        symmetrise: ``none``, ``union`` or ``mutual``.
        weights: ``similarity``, ``binary`` or ``symmetric``.
        backend: ``auto``, ``torch``, ``faiss`` or ``faiss-gpu``.
        recall: Build approximate graphs that hold this ratio of the exact edges, see
            :func:`mmgraph.knn.approximate_knn_graph`; exact ones by default.
        id_column: Column or array of the item ids, in the files that have it; of the
            others, and without it, one of the usual names.
        seed: Of the samples of an approximate build.
        device: Device of the computation.

    Returns:
        The graphs, and what ``mmgraph knn build --json`` says of them.

    Raises:
        UserError: If a file or an option is at fault.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "visual.npy"
        >>> np.save(path, np.eye(4, dtype="f4"))
        >>> file, report = build_graphs({"visual": path}, k=2)
        >>> file.graphs["visual"].edge_index.shape, report["num_edges"]
        (torch.Size([2, 8]), 8)
    """
    options = {
        "k": k,
        "metric": metric,
        "nan": nan,
        "duplicates": duplicates,
        "symmetrise": symmetrise,
        "weights": weights,
    }
    check_options(**options, zero=zero, backend=backend)
    if recall is not None:
        check_options(recall=recall)
    where = resolve_device(device)
    columns = {} if id_column is None else named_id_columns(files, id_column)
    items = line_up_features(files, nan=nan, zero=zero, id_columns=columns)
    ids = None if items.ids is None else items.ids.tolist()
    file, reports = GraphFile(items.num_items, ids, {}), {}
    for name, rows in items.features.items():
        reset_peak_memory()
        try:
            graph, report = _build(
                rows.matrix,
                options,
                resolve_backend(backend, where),
                where,
                recall,
                seed,
            )
        except UserError:
            raise
        except ValueError as error:
            raise UserError(
                str(error), "see mmgraph knn build --help", path=files[name]
            ) from None
        graph.facts["features"] = [str(files[name])]
        if name in columns:
            graph.facts["id_column"] = columns[name]
        # An item that a file lacks is zero in the matrix; it is counted once.
        report["missing_rows"] = int(rows.missing.sum())
        report["zero_rows"] -= report["missing_rows"]
        file.graphs[name], reports[name] = graph, report
    return file, knn_report(items.num_items, reports, overlap=overlaps(file))


def _build(
    features: np.ndarray,
    options: dict[str, Any],
    backend: str,
    device: torch.device,
    recall: float | None,
    seed: int,
) -> tuple[ModalityGraph, dict[str, Any]]:
    x = as_tensor(features).to(device)
    start = time.perf_counter()
    edge_index, similarity, certificate = _neighbours(x, options, backend, recall, seed)
    seconds = time.perf_counter() - start
    edge_index, similarity = knn.symmetrise(
        edge_index.cpu(), similarity.cpu(), len(x), options["symmetrise"]
    )
    weight = knn.edge_weights(edge_index, similarity, len(x), options["weights"])
    exact = certificate is None or certificate["fell_back"]
    facts: GraphFacts = {
        "k": options["k"],
        "metric": options["metric"],
        "nan": options["nan"],
        "duplicates": options["duplicates"],
        "symmetrise": options["symmetrise"],
        "weights": options["weights"],
        "features": [],
        "dim": features.shape[1],
        "input_sha256": feature_digest(features),
        "graph_sha256": graph_digest(edge_index, similarity),
        "exact": exact,
    }
    graph = ModalityGraph(edge_index, similarity, weight, facts)
    statistics = matrix_statistics(x, "cosine", nan=options["nan"])
    groups = RowGroups.find(x, statistics.row)
    copies = len(groups.group) - len(groups)
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
        "zero_rows": statistics.zero_rows,
        "nan_rows": statistics.nan_rows,
        "duplicate_groups": int((groups.size > 1).sum()),
        "components": described.pop("components"),
        "input_sha256": facts["input_sha256"],
        "graph_sha256": facts["graph_sha256"],
        "seconds": seconds,
        "peak_memory_bytes": peak_memory(device),
        "certificate": certificate,
        "collapsed_rows": copies if options["duplicates"] == "collapse" else 0,
        "symmetrise": options["symmetrise"],
        "weights": options["weights"],
        **described,
    }


def _neighbours(
    x: Tensor, options: dict[str, Any], backend: str, recall: float | None, seed: int
) -> tuple[Tensor, Tensor, dict[str, Any] | None]:
    """Edges, similarities, and the certificate of an approximate build."""
    search = {key: options[key] for key in ("metric", "nan", "duplicates")}
    if recall is None:
        return *knn.knn_graph(x, options["k"], backend=backend, **search), None
    result = knn.approximate_knn_graph(
        x, options["k"], recall=recall, seed=seed, **search
    )
    return result.edge_index, result.similarity, certified(result, recall)
