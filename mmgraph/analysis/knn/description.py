"""What a report says about graphs beyond their edges."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

from mmgraph.data.graph_file import GraphFile, ModalityGraph

if TYPE_CHECKING:
    from mmgraph.knn import ApproximateGraph


def describe(graph: ModalityGraph, num_items: int) -> dict[str, Any]:
    """Degrees, hubs, components.

    Example:
        >>> import torch
        >>> edge_index = torch.tensor([[1, 0], [0, 1]])
        >>> graph = ModalityGraph(edge_index, torch.ones(2), torch.ones(2), {})
        >>> describe(graph, 3)["isolated_rows"], describe(graph, 3)["components"]
        (1, 2)
    """
    from mmgraph.knn.digest import num_components
    from mmgraph.knn.hubness import hubness

    found = hubness(graph.edge_index, num_items)
    linked = graph.edge_index.flatten().unique()
    return {
        "num_edges": graph.edge_index.size(1),
        "components": num_components(graph.edge_index, num_items),
        "isolated_rows": num_items - len(linked),
        "hubness": found.skewness,
        "hubs": [list(pair) for pair in found.hubs],
        "in_lists_histogram": [list(span) for span in found.histogram],
    }


def certified(found: ApproximateGraph, aim: float) -> dict[str, Any]:
    """What an approximate build promised, measured and gave.

    ``fell_back`` says that the exact graph was built instead. Measures are None where
    no sample was compared; otherwise they are those of the approximate graph, also
    where it was given up.

    Example:
        >>> import torch
        >>> from mmgraph.knn import approximate_knn_graph
        >>> certified(approximate_knn_graph(torch.eye(4), 1), 0.99)["fell_back"]
        True
    """
    measured = found.certificate
    return {
        "aim": aim,
        "fell_back": found.exact,
        "rows": None if measured is None else measured.rows,
        "hits": None if measured is None else measured.hits,
        "estimate": None if measured is None else measured.estimate,
        "lower_99": None if measured is None else measured.lower_99,
        "num_cells": found.num_cells,
        "probe": found.probe,
    }


def overlaps(file: GraphFile) -> list[dict[str, Any]]:
    """Shared neighbours of every pair of modalities, beside those of random lists.

    Example:
        >>> overlaps(GraphFile(2, None, {}))
        []
    """
    from mmgraph.functional.redundancy.divergence import neighbour_overlap

    rows = []
    for (a, first), (b, second) in combinations(file.graphs.items(), 2):
        value = neighbour_overlap(first.edge_index, second.edge_index, file.num_items)
        # Random lists of a and b neighbours share a b / (N - 1) of them, and the
        # share is one of the longer list.
        shorter = min(first.facts["k"], second.facts["k"])
        expected = min(1.0, shorter / max(1, file.num_items - 1))
        rows.append({"modalities": [a, b], "value": value, "expected": expected})
    return rows
