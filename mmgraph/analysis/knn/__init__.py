"""kNN graphs of feature files: built, grown, verified, joined and described."""

from __future__ import annotations

from mmgraph.analysis.knn.blocks import join_blocks
from mmgraph.analysis.knn.build import build_graphs
from mmgraph.analysis.knn.description import graph_report
from mmgraph.analysis.knn.insert import insert_items
from mmgraph.analysis.knn.merge import merge_graphs
from mmgraph.analysis.knn.verify import verify_graphs

__all__ = [
    "build_graphs",
    "graph_report",
    "insert_items",
    "join_blocks",
    "merge_graphs",
    "verify_graphs",
]
