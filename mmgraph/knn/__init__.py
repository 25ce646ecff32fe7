"""Nearest-neighbour graphs: arrays in, graph out.

Every build takes the same way. ``rows`` classifies the rows of the matrix; ``metric``
turns the metric into float32 products with a proven tolerance; ``search`` proposes
neighbours by these products and ranks them by exact similarities; ``jobs`` cuts long
builds into blocks. The searches:

* ``graph`` on a CPU, and ``update``: ``symmetric_search``, which makes each product
  once, ranked by ``exact_neighbours``;
* ``graph`` on a GPU or with FAISS: ``block_search`` with the whole matrix as one block;
* ``blocks``, for a matrix larger than memory: ``block_search``, block after block;
* ``approximate``: ``block_search`` over the proposals of ``inverted_lists``;
* ``by_size``: the graph, or for a large matrix the approximate one.
"""

from mmgraph.knn.approximate import ApproximateGraph, approximate_knn_graph
from mmgraph.knn.blocks import build_blocks
from mmgraph.knn.by_size import knn_graph_by_size
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
    "knn_graph_by_size",
    "merge_shards",
    "read_shards",
    "symmetrise",
]
