"""Hashes and components of a kNN graph."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from scipy.sparse import csgraph, csr_array
from torch import Tensor

from mmgraph.functional.block_sizes import READ
from mmgraph.functional.graph.edge_digest import graph_digest

__all__ = ["feature_digest", "graph_digest", "num_components"]


def feature_digest(x: np.ndarray[Any, Any]) -> str:
    """SHA-256 of the shape (little-endian int64) and the values (float32) of a matrix.

    Args:
        x: Features; a memory-mapped matrix is read a block of rows at a time.

    Returns:
        64 hexadecimal digits.

    Shapes:
        x: ``[N, D]``.

    Example:
        >>> feature_digest(np.zeros((2, 3)))[:16]
        '9298a62c7efea8bc'
    """
    digest = hashlib.sha256(np.array(x.shape, dtype="<i8").tobytes())
    step = READ.rows(x.shape[1])
    for start in range(0, len(x), step):
        digest.update(x[start : start + step].astype("<f4").tobytes())
    return digest.hexdigest()


def num_components(edge_index: Tensor, num_nodes: int) -> int:
    """Connected components, directions ignored; an isolated node is one.

    Args:
        edge_index: Edges.
        num_nodes: Number of nodes.

    Returns:
        The number of components.

    Shapes:
        edge_index: ``[2, E]``.

    Example:
        >>> import torch
        >>> num_components(torch.tensor([[0], [1]]), num_nodes=3)
        2
    """
    source, target = edge_index.cpu().numpy()
    ones = np.ones(len(source), dtype=np.int8)
    graph = csr_array((ones, (source, target)), shape=(num_nodes, num_nodes))
    count, _ = csgraph.connected_components(graph, directed=False)
    return int(count)
