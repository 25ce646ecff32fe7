"""Exact nearest-neighbour graphs: arrays in, graph out."""

from __future__ import annotations

from mmgraph.knn.knn_graph import knn_graph

__all__ = ["knn_graph"]
