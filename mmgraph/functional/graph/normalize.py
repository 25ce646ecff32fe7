"""Edge weights: degrees are counted once, then held with the graph."""

from __future__ import annotations

import torch
from torch import Tensor


def stack_user_item(edge_index: Tensor, num_users: int) -> Tensor:
    r"""Both directions of user-item edges over one node set, users first.

    The adjacency is :math:`\mathbf{A} = [[0, R], [R^\top, 0]]`.

    Args:
        edge_index: User (row 0) and item (row 1) of each interaction.
        num_users: Items become the nodes ``num_users + item``.

    Shapes:
        - **input:** :math:`(2, E)` int64
        - **output:** :math:`(2, 2E)` int64

    Example:
        >>> stack_user_item(torch.tensor([[0, 1], [0, 0]]), num_users=2)
        tensor([[2, 2, 0, 1],
                [0, 1, 2, 2]])
    """
    user, item = edge_index[0], edge_index[1] + num_users
    return torch.stack([torch.cat([item, user]), torch.cat([user, item])])


def _inverse_power(degree: Tensor, exponent: float) -> Tensor:
    power = degree.pow(exponent)
    return power.masked_fill_(degree <= 0, 0.0)


def _degree(index: Tensor, num_nodes: int) -> Tensor:
    return torch.bincount(index, minlength=num_nodes).to(torch.get_default_dtype())


def symmetric_norm(
    edge_index: Tensor,
    num_src: int,
    num_dst: int | None = None,
    edge_weight: Tensor | None = None,
) -> Tensor:
    r"""Weights of :math:`\mathbf{D}^{-1/2} \mathbf{A} \mathbf{D}^{-1/2}`.

    Sources are divided by the root of their out-degree and targets by the root of
    their in-degree; isolated nodes get no weight, self-loops are not added.

    Args:
        edge_index: Source (row 0) and target (row 1) of each edge.
        num_src: Number of source nodes.
        num_dst: Number of target nodes (default: the same set as the sources).
        edge_weight: Weights to normalise (default: ones).

    Shapes:
        - **input:** :math:`(2, E)`
        - **output:** :math:`(E)` float32, or the dtype of ``edge_weight``

    Example:
        >>> symmetric_norm(torch.tensor([[0, 1], [1, 0]]), 2)
        tensor([1., 1.])
    """
    src, dst = edge_index
    if edge_weight is None:
        edge_weight = torch.ones(src.numel(), device=src.device)
    out_degree = edge_weight.new_zeros(num_src).index_add_(0, src, edge_weight)
    in_degree = edge_weight.new_zeros(num_src if num_dst is None else num_dst)
    in_degree.index_add_(0, dst, edge_weight)
    scale_src = _inverse_power(out_degree, -0.5)
    scale_dst = _inverse_power(in_degree, -0.5)
    # The product of the two scales commutes, so a symmetric graph gets bitwise
    # equal weights in both directions.
    return scale_src[src] * scale_dst[dst] * edge_weight


def mean_norm(edge_index: Tensor, num_dst: int) -> Tensor:
    r"""Weights of :math:`\mathbf{D}^{-1} \mathbf{A}`: each target averages.

    Args:
        edge_index: Source (row 0) and target (row 1) of each edge.
        num_dst: Number of target nodes.

    Shapes:
        - **output:** :math:`(E)` float32

    Example:
        >>> mean_norm(torch.tensor([[0, 1], [0, 0]]), 1)
        tensor([0.5000, 0.5000])
    """
    dst = edge_index[1]
    return _inverse_power(_degree(dst, num_dst), -1.0)[dst]


def root_norm(edge_index: Tensor, num_dst: int) -> Tensor:
    r"""Weights of :math:`\mathbf{D}^{-1/2} \mathbf{A}`: the target's degree alone.

    Each target sums its sources over the root of their number (Wei et al.,
    "Multi-Modal Self-Supervised Learning for Recommendation", WWW 2023).

    Args:
        edge_index: Source (row 0) and target (row 1) of each edge.
        num_dst: Number of target nodes.

    Shapes:
        - **output:** :math:`(E)` of the default dtype

    Example:
        >>> root_norm(torch.tensor([[0, 1, 2, 3], [0, 0, 0, 0]]), 1)
        tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    dst = edge_index[1]
    return _degree(dst, num_dst)[dst].rsqrt()


def row_sum_norm(edge_index: Tensor, edge_weight: Tensor, num_nodes: int) -> Tensor:
    r"""Weights :math:`w_{ij} / \sqrt{s_i s_j}` with :math:`s_i = \sum_j w_{ij}`.

    Both ends are divided by the root of the sum *into* them, also the neighbour
    :math:`j`: the normalisation of the directed item graphs of LATTICE (Zhang et al.,
    ACM MM 2021). A sum that is not positive gives 0. Differentiable in the weights.

    Args:
        edge_index: Neighbour (row 0) and centre (row 1) of each edge.
        edge_weight: Weights to normalise.
        num_nodes: Number of nodes.

    Shapes:
        - **input:** :math:`(2, E)`, :math:`(E)`
        - **output:** :math:`(E)`

    Example:
        >>> row_sum_norm(torch.tensor([[0, 1], [0, 0]]), torch.tensor([3.0, 1.0]), 2)
        tensor([0.7500, 0.0000])
    """
    neighbour, centre = edge_index
    row_sum = edge_weight.new_zeros(num_nodes).index_add(0, centre, edge_weight)
    row_sum = row_sum.clamp(min=0)
    product = row_sum.index_select(0, centre) * row_sum.index_select(0, neighbour)
    positive = product > 0
    # sqrt(k * k) is exactly k, so binary lists weigh exactly 1 / k. The inner `where`
    # keeps the root away from 0, where its derivative is infinite.
    scale = product.where(positive, 1.0).sqrt()
    return (edge_weight / scale).where(positive, 0.0)
