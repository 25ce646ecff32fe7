"""Similarity along the edges of a graph."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.rows import row_dots


def edge_cosine(x: Tensor, edge_index: Tensor) -> Tensor:
    r"""Cosine of both ends of each edge, :math:`\langle x_j, x_i \rangle / |x_j||x_i|`.

    Differentiable in ``x``. With the edges of :func:`mmgraph.knn.knn_graph` this is the
    learned similarity of LATTICE (Zhang et al., "Mining Latent Structures for
    Multimedia Recommendation", ACM MM 2021): choosing the ``k`` largest entries of the
    similarity matrix passes a gradient to the chosen entries alone, so that nothing is
    lost by computing no others.

    Args:
        x: Node features.
        edge_index: Source (row 0) and target (row 1) of each edge.

    Shapes:
        - **input:** :math:`(N, d)`, :math:`(2, E)`
        - **output:** :math:`(E)`; 0 where an end is a zero row

    Example:
        >>> import torch
        >>> x = torch.tensor([[1.0, 0.0], [3.0, 4.0]])
        >>> edge_cosine(x, torch.tensor([[0, 1], [0, 0]]))
        tensor([1.0000, 0.6000])
    """
    cosine: Tensor = _EdgeDot.apply(F.normalize(x, dim=1, eps=1e-12), edge_index)
    return cosine


class _EdgeDot(torch.autograd.Function):
    """Inner product of both ends of each edge; no row is kept per edge.

    With the gradients of the products as weights of the graph, both ends of an edge
    get each other's rows: a propagation there and one back.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, edge_index: Tensor) -> Tensor:
        ctx.save_for_backward(x, edge_index)
        source, target = edge_index
        return row_dots(x, source, x, target)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        x, edge_index = ctx.saved_tensors
        graph = Adjacency.from_edge_index(edge_index, grad, num_src=x.size(0))
        return graph.matmul(x) + graph.t().matmul(x), None
