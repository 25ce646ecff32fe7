"""Compare a graph file with brute force over its features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mmgraph.analysis.knn.description import knn_report
from mmgraph.analysis.knn.modalities import (
    Files,
    as_paths,
    match_modalities,
    matrix_digest,
)
from mmgraph.data import GraphFile, ModalityGraph, graph_features
from mmgraph.data.formats.npy import as_tensor
from mmgraph.errors import UserError
from mmgraph.knn.verify import wrong_rows


def verify_graphs(
    file: GraphFile,
    files: Mapping[str, Files],
    *,
    rows: int = 200,
    seed: int = 999,
    label: str | Path = "the graph",
) -> dict[str, Any]:
    """Recompute rows of each graph in float64, pair by pair, and compare bit for bit.

    Args:
        file: The graphs.
        files: Feature file of each modality to verify; of a graph that has grown, the
            files in the order in which their items came into it.
        rows: Rows drawn per graph; 0 takes all. Of an undirected graph all are taken.
        seed: Of the draw.
        label: The graph's name in a message.

    Returns:
        Of each graph ``rows_checked``, ``wrong_rows``, ``first_wrong_row``,
        ``first_wrong_id`` and ``same_features`` (the values are those it was built
        from), in the shape of :func:`~mmgraph.analysis.knn.description.knn_report`.

    Raises:
        UserError: If the files do not fit the graphs.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from mmgraph.analysis.knn.build import build_graphs
        >>> path = Path(tempfile.mkdtemp()) / "visual.npy"
        >>> np.save(path, np.eye(4, dtype="f4"))
        >>> file, _ = build_graphs({"visual": path}, k=2)
        >>> verify_graphs(file, {"visual": path})["wrong_rows"]
        0
    """
    reports = {}
    for name, paths in match_modalities(files, file, label).items():
        graph = file.graphs[name]
        wrong, checked, same = _compare(file, name, as_paths(paths), rows, seed)
        reports[name] = {
            "num_nodes": file.num_items,
            "k": graph.facts["k"],
            "metric": graph.facts["metric"],
            "rows_checked": checked,
            "wrong_rows": len(wrong),
            "first_wrong_row": wrong[0] if wrong else None,
            "first_wrong_id": file.ids[wrong[0]] if wrong and file.ids else None,
            "same_features": same,
            "graph_sha256": graph.facts["graph_sha256"],
        }
    return knn_report(file.num_items, reports)


def _compare(
    file: GraphFile, name: str, paths: list[Path], rows: int, seed: int
) -> tuple[list[int], int, bool]:
    """Wrong rows, the number of rows checked, and whether the features are the same."""
    graph: ModalityGraph = file.graphs[name]
    facts = graph.facts
    if facts.get("include_self"):
        raise UserError(
            f"the graph of {name!r} holds edges of rows to themselves",
            "verify one that was built without include_self",
        )
    x = graph_features(
        paths,
        file,
        dtype=facts.get("dtype", "float32"),
        id_column=facts.get("id_column"),
    )
    dim = facts.get("dim", x.shape[1])  # older graphs do not record it
    if x.shape[1] != dim:
        raise UserError(
            f"{x.shape[1]} dimensions, but the graph of {name!r} is of {dim}",
            "give the features that it was built from",
            path=paths[0],
        )
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(x), generator=generator)[: rows or len(x)]
    try:
        wrong = wrong_rows(
            graph.edge_index,
            graph.similarity,
            as_tensor(x),
            facts["k"],
            metric=facts["metric"],
            rows=drawn,
            nan=facts["nan"],
            duplicates=facts["duplicates"],
            symmetrised=facts["symmetrise"],
        ).tolist()
    except UserError:
        raise
    except ValueError as error:
        raise UserError(str(error), "repair the features", path=paths[0]) from None
    checked = len(drawn) if facts["symmetrise"] == "none" else len(x)
    return wrong, checked, matrix_digest(x) == facts["input_sha256"]
