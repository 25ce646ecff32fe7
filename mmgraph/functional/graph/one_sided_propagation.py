"""Propagation over a user-item graph that starts from one side alone."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from mmgraph.functional.graph.adjacency import Adjacency


def one_sided_propagation(
    x: Tensor, to_other: Adjacency, num_layers: int
) -> tuple[Tensor, Tensor]:
    r"""Sums of the layers that start from the nodes of one side, by side.

    .. math::
        \mathbf{s} = \mathbf{x} + \mathbf{R}^\top \mathbf{R} \mathbf{x} + \dots, \qquad
        \mathbf{o} = \mathbf{R} \mathbf{x} + \mathbf{R} \mathbf{R}^\top \mathbf{R}
        \mathbf{x} + \dots

    A propagation over the stacked graph is the sum of one that starts from the users
    and one that starts from the items. Where several share the users' start, its part
    is computed once: with three of them and three layers 12 products with half of the
    edges take the place of 18.

    Args:
        x: Embeddings of the side that starts.
        to_other: The matrix :math:`\mathbf{R}` from that side to the other.
        num_layers: Number of products.

    Shapes:
        - **input:** :math:`(N, d)`
        - **output:** :math:`(N, d)` of the same side and :math:`(M, d)` of the other

    Example:
        >>> to_item = Adjacency.from_edge_index(
        ...     torch.tensor([[0, 1], [0, 0]]), num_src=2, num_dst=1
        ... )
        >>> one_sided_propagation(torch.tensor([[1.0], [2.0]]), to_item, num_layers=2)
        (tensor([[4.],
                [5.]]), tensor([[3.]]))
    """
    sides = ([x], [x.new_zeros(to_other.num_dst, x.size(1))] if not num_layers else [])
    graphs = (to_other, to_other.t())
    for layer in range(num_layers):
        x = graphs[layer % 2].matmul(x)
        sides[1 - layer % 2].append(x)
    return reduce(torch.add, sides[0]), reduce(torch.add, sides[1])
