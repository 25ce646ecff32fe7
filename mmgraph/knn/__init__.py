"""Exact nearest-neighbour graphs: arrays in, graph out."""

from __future__ import annotations

from mmgraph.knn.edge_weights import edge_weights
from mmgraph.knn.knn_graph import knn_graph
from mmgraph.knn.symmetrise import symmetrise
from mmgraph.knn.update import delete, insert

__all__ = ["delete", "edge_weights", "insert", "knn_graph", "symmetrise"]
