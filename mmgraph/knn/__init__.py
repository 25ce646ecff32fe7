"""Nearest-neighbour graphs: arrays in, graph out."""

from __future__ import annotations

from mmgraph.knn.approximate import ApproximateGraph, approximate_knn_graph
from mmgraph.knn.build_blocks import build_blocks
from mmgraph.knn.edge_weights import edge_weights
from mmgraph.knn.knn_graph import knn_graph
from mmgraph.knn.merge_shards import merge_shards, read_shards
from mmgraph.knn.symmetrise import symmetrise
from mmgraph.knn.update import delete, insert

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
