"""Nearest-neighbour graphs: arrays in, graph out."""

from __future__ import annotations

from mmgraph.knn.approximate import ApproximateGraph, approximate_knn_graph
from mmgraph.knn.blocks import build_blocks
from mmgraph.knn.graph import knn_graph
from mmgraph.knn.merge import merge_shards, read_shards
from mmgraph.knn.undirected import symmetrise
from mmgraph.knn.update import delete, insert
from mmgraph.knn.weights import edge_weights

__all__ = [
    "ApproximateGraph",
    "approximate_knn_graph",
    "build_blocks",
    "delete",
    "edge_weights",
    "insert",
    "knn_graph",
    "merge_shards",
    "read_shards",
    "symmetrise",
]
