"""Facts about kNN graphs, in the one shape that every command reports them in."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from mmgraph.data import GraphFile, ModalityGraph
from mmgraph.functional.redundancy.divergence import neighbour_overlap
from mmgraph.knn import ApproximateGraph
from mmgraph.knn.digest import graph_digest, num_components
from mmgraph.knn.hubness import hubness


def knn_report(
    num_nodes: int, graphs: Mapping[str, Mapping[str, Any]], **others: Any
) -> dict[str, Any]:
    """Facts of several graphs in the shape of every ``mmgraph knn ... --json``.

    Args:
        num_nodes: Number of items.
        graphs: Modality -> facts of its graph.
        **others: What is said of all graphs together.

    Returns:
        ``num_nodes``, ``others`` and ``graphs``; where there is one graph alone, its
        facts stand at the top level as well.

    Example:
        >>> knn_report(9, {"visual": {"k": 5}})
        {'num_nodes': 9, 'k': 5, 'graphs': {'visual': {'k': 5}}}
        >>> list(knn_report(9, {"visual": {"k": 5}, "textual": {"k": 5}}))
        ['num_nodes', 'graphs']
    """
    only = next(iter(graphs.values())) if len(graphs) == 1 else {}
    return {"num_nodes": num_nodes, **only, **others, "graphs": dict(graphs)}


#: Facts that some graphs alone record; of the others they are None.
_OF_SOME = (
    *("dim", "dtype", "include_self", "id_column"),
    *("zero_rows", "nan_rows", "collapsed_rows"),
)


def graph_report(file: GraphFile) -> dict[str, Any]:
    """The record of each graph of a file, and its figures.

    Returns:
        Of each graph its record
        (:class:`~mmgraph.data.graphs.item_graphs.GraphFacts`), with the same keys
        whatever made the graph,
        ``intact`` (the edges have the hash that they were written with) and its
        :func:`describe`; of all, ``ids`` (the items have ids) and :func:`overlaps`. In
        the shape of :func:`knn_report`.

    Example:
        >>> graph_report(GraphFile(2, None, {}))
        {'num_nodes': 2, 'ids': False, 'overlap': [], 'graphs': {}}
    """
    graphs = {}
    for name, graph in file.graphs.items():
        digest = graph_digest(graph.edge_index, graph.similarity)
        graphs[name] = {
            "num_nodes": file.num_items,
            **dict.fromkeys(_OF_SOME),
            **graph.facts,
            "intact": digest == graph.facts["graph_sha256"],
            **describe(graph, file.num_items),
        }
    return knn_report(
        file.num_items, graphs, ids=file.ids is not None, overlap=overlaps(file)
    )


def describe(graph: ModalityGraph, num_items: int) -> dict[str, Any]:
    """Degrees, hubs, components.

    Example:
        >>> import torch
        >>> edge_index = torch.tensor([[1, 0], [0, 1]])
        >>> graph = ModalityGraph(edge_index, torch.ones(2), torch.ones(2), {})
        >>> describe(graph, 3)["isolated_rows"], describe(graph, 3)["components"]
        (1, 2)
    """
    hubs = hubness(graph.edge_index, num_items)
    linked = graph.edge_index.flatten().unique()
    return {
        "num_edges": graph.edge_index.size(1),
        "components": num_components(graph.edge_index, num_items),
        "isolated_rows": num_items - len(linked),
        "hubness": hubs.skewness,
        "hubs": [list(pair) for pair in hubs.hubs],
        "in_lists_histogram": [list(span) for span in hubs.histogram],
    }


def certified(graph: ApproximateGraph, aim: float) -> dict[str, Any]:
    """The certificate of an approximate build: promised, measured, given.

    ``fell_back`` says that the exact graph was built instead. Measures are None where
    no sample was compared; otherwise they are those of the approximate graph, also
    where it was given up.

    Example:
        >>> import torch
        >>> from mmgraph.knn import approximate_knn_graph
        >>> certified(approximate_knn_graph(torch.eye(4), 1), 0.99)["fell_back"]
        True
    """
    certificate = graph.certificate
    return {
        "aim": aim,
        "fell_back": graph.exact,
        "rows": None if certificate is None else certificate.rows,
        "hits": None if certificate is None else certificate.hits,
        "estimate": None if certificate is None else certificate.estimate,
        "lower_99": None if certificate is None else certificate.lower_99,
        "num_cells": graph.num_cells,
        "probe": graph.probe,
    }


def overlaps(file: GraphFile) -> list[dict[str, Any]]:
    """Neighbours that every pair of modalities has in common, beside chance.

    Example:
        >>> overlaps(GraphFile(2, None, {}))
        []
    """
    rows = []
    for (a, first), (b, second) in combinations(file.graphs.items(), 2):
        value = neighbour_overlap(first.edge_index, second.edge_index, file.num_items)
        # a and b random neighbours have a b / (N - 1) in common, and the overlap is a
        # ratio to the larger of the two numbers.
        shorter = min(first.facts["k"], second.facts["k"])
        expected = min(1.0, shorter / max(1, file.num_items - 1))
        rows.append({"modalities": [a, b], "value": value, "expected": expected})
    return rows
