"""Edge weights, the factors of a layer, from a kNN graph."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.functional.graph.normalize import symmetric_norm
from mmgraph.knn.options import check_options


def edge_weights(
    edge_index: Tensor, similarity: Tensor, num_nodes: int, kind: str
) -> Tensor:
    r"""Weights of the edges of a kNN graph.

    * ``similarity``: the similarity itself;
    * ``binary``: 1;
    * ``symmetric``: :math:`1 / \sqrt{d_j d_i}`, with :math:`d_j` the centres that
      neighbour j has and :math:`d_i` the neighbours of centre i: the entries
      of :math:`\mathbf{D}^{-1/2} \mathbf{A} \mathbf{D}^{-1/2}` where the graph is
      undirected. Edges count 1 each, since similarities may be negative.

    Args:
        edge_index: Neighbour (row 0) and centre (row 1) of each edge.
        similarity: Their similarities.
        num_nodes: Number of nodes.
        kind: ``similarity``, ``binary`` or ``symmetric``.

    Returns:
        float32 ``[E]``.

    Raises:
        ValueError: If ``kind`` is unknown.

    Shapes:
        edge_index: ``[2, E]``; similarity: ``[E]``.

    Example:
        >>> edge_index = torch.tensor([[1, 0, 1], [0, 1, 2]])
        >>> edge_weights(edge_index, torch.ones(3), 3, "symmetric")
        tensor([0.7071, 1.0000, 0.7071])
    """
    check_options(weights=kind)
    if kind == "similarity":
        return similarity
    if kind == "binary":
        return torch.ones_like(similarity)
    return symmetric_norm(edge_index, num_nodes)
