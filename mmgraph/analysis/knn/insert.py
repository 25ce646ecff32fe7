"""New items into a graph file, equal to building it again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmgraph import knn
from mmgraph.analysis.knn.description import knn_report, overlaps
from mmgraph.analysis.knn.modalities import (
    Files,
    as_paths,
    match_modalities,
    matrix_digest,
)
from mmgraph.data import GraphFile, ModalityGraph, graph_features, line_up_features
from mmgraph.data.ids import as_ids, match_ids, one_kind
from mmgraph.data.importing.id_columns import column_names
from mmgraph.errors import UserError
from mmgraph.knn.digest import graph_digest


def insert_items(
    file: GraphFile,
    new: Mapping[str, Path],
    base: Mapping[str, Files] | None = None,
    *,
    label: str | Path = "the graph",
) -> tuple[GraphFile, dict[str, Any]]:
    """Add the items of new feature files behind those of a graph.

    Each graph is the one that a build of all rows makes in this order of the items, bit
    for bit, for one product of the new rows with all rows. The new items are among
    themselves in the order of :func:`mmgraph.data.line_up_features`.

    Args:
        file: The graphs.
        new: Feature file of the new items, for each modality.
        base: Files that the graphs were built from, where they are not the recorded
            ones or have moved; several, in their order, of a graph that has grown.
        label: The graph's name in a message.

    Returns:
        The grown graphs, and what ``mmgraph knn insert --json`` says of them.

    Raises:
        UserError: If files do not fit the graph, hold other values than it was built
            from, or an item is there already; if a graph is approximate, undirected or
            has collapsed rows.

    Example:
        >>> import tempfile
        >>> from mmgraph.analysis.knn.build import build_graphs
        >>> old, new = (Path(tempfile.mkdtemp()) / "visual.npy" for _ in range(2))
        >>> np.save(old, np.eye(4, dtype="f4")), np.save(new, np.ones((1, 4), "f4"))
        (None, None)
        >>> file, _ = build_graphs({"visual": old}, k=2)
        >>> insert_items(file, {"visual": new})[1]["num_nodes"]
        5
    """
    new = match_modalities(new, file, label, all_of_them=True)
    base = match_modalities(base, file, label, all_of_them=True) if base else {}
    refuse = any(graph.facts["nan"] == "refuse" for graph in file.graphs.values())
    items = line_up_features(
        new,
        nan="refuse" if refuse else "isolate",
        id_columns=_id_columns(file, new),
    )
    ids = _all_ids(file, items.ids, next(iter(new.values())))
    grown, reports = GraphFile(file.num_items + items.num_items, ids, {}), {}
    for name, graph in file.graphs.items():
        _check_extensible(graph)
        paths = as_paths(base[name]) if name in base else _recorded(graph, label)
        old = graph_features(paths, file, id_column=graph.facts.get("id_column"))
        if matrix_digest(old) != graph.facts["input_sha256"]:
            raise UserError(
                "not the values that the graph was built from",
                "restore them, or build the graph again",
                path=paths[0],
            )
        rows = items.features[name]
        if old.shape[1] != rows.dim:
            raise UserError(
                f"{rows.dim} dimensions, but the graph's features have {old.shape[1]}",
                "give features of one encoder",
                path=new[name],
            )
        x = np.concatenate([old, rows.matrix])
        grown.graphs[name], reports[name] = _grow(graph, x, items.num_items)
        files = [str(path) for path in (*paths, new[name])]
        grown.graphs[name].facts["features"] = files
    return grown, knn_report(grown.num_items, reports, overlap=overlaps(grown))


def _id_columns(file: GraphFile, new: Mapping[str, Path]) -> dict[str, str]:
    """The column of the ids that each graph was built by, where a new file has it."""
    known = {name: graph.facts.get("id_column") for name, graph in file.graphs.items()}
    return {
        name: column
        for name, column in known.items()
        if column is not None and column in column_names(new[name])
    }


def _recorded(graph: ModalityGraph, label: str | Path) -> list[Path]:
    """The files that a graph was built from."""
    fix = "name the features it was built from with --base"
    paths = [Path(path) for path in graph.facts["features"]]
    if not paths:
        raise UserError("has no record of its features", fix, path=label)
    for path in paths:
        if not path.is_file():
            raise UserError(
                f"{label} was built from this file, which is not there", fix, path=path
            )
    return paths


def _all_ids(file: GraphFile, new: np.ndarray | None, path: Path) -> list[Any] | None:
    if (file.ids is None) != (new is None):
        has, lacks = ("graph", "file") if new is None else ("file", "graph")
        raise UserError(
            f"the {has} has ids, the {lacks} has none",
            "give both ids, or neither",
            path=path,
        )
    if file.ids is None or new is None:
        return None
    old = as_ids(file.ids)
    again = new[match_ids(old, new) >= 0]
    if again.size:
        raise UserError(
            f"item {again[0].item()!r} is in the graph already",
            "leave it out, or build the graph again if its features changed",
            path=path,
        )
    ids: list[Any] = np.concatenate(one_kind([old, new])).tolist()
    return ids


def _check_extensible(graph: ModalityGraph) -> None:
    facts = graph.facts
    if not facts["exact"]:
        raise UserError(
            "an approximate graph cannot be extended exactly",
            "build it anew with the new rows",
        )
    if facts["symmetrise"] != "none" or facts["duplicates"] != "keep":
        raise UserError(
            "items can be inserted only into a graph of --symmetrise none and "
            "--duplicates keep",
            "build the graph again",
        )
    if facts.get("dtype", "float32") != "float32":
        raise UserError(
            f"the graph was computed in {facts['dtype']}, new rows are float32",
            "build it again from float32 features",
        )


def _grow(
    graph: ModalityGraph, features: np.ndarray, num_new: int
) -> tuple[ModalityGraph, dict[str, Any]]:
    facts, digest = graph.facts, matrix_digest(features)
    x = torch.from_numpy(features)
    x[~x.isfinite().all(1)] = 0  # refused when read, unless such rows are isolated
    start = time.perf_counter()
    try:
        edge_index, similarity = knn.insert(
            graph.edge_index,
            graph.similarity,
            x,
            facts["k"],
            num_new=num_new,
            metric=facts["metric"],
            include_self=facts.get("include_self", False),
        )
    except UserError:
        raise
    except ValueError as error:
        raise UserError(str(error), "build the graph again") from None
    seconds = time.perf_counter() - start
    weight = knn.edge_weights(edge_index, similarity, len(x), facts["weights"])
    facts = {
        **facts,
        "input_sha256": digest,
        "graph_sha256": graph_digest(edge_index, similarity),
    }
    return ModalityGraph(edge_index, similarity, weight, facts), {
        "num_nodes": len(x),
        "k": facts["k"],
        "num_new": num_new,
        "num_edges": edge_index.size(1),
        "metric": facts["metric"],
        "input_sha256": digest,
        "graph_sha256": facts["graph_sha256"],
        "seconds": seconds,
    }
