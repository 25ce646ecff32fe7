"""User-item graphs in which each node divides by the root of its own degree."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.functional.graph.adjacency import Adjacency


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
    degree = torch.bincount(dst, minlength=num_dst).to(torch.get_default_dtype())
    return degree[dst].rsqrt()


def root_norm_graphs(
    edge_index: Tensor, num_users: int, num_items: int
) -> tuple[Adjacency, Adjacency]:
    r"""The graphs :math:`\mathbf{D}_U^{-1/2} \mathbf{R}` to the users and
    :math:`\mathbf{D}_I^{-1/2} \mathbf{R}^\top` to the items.

    Args:
        edge_index: User (row 0) and item (row 1) of each edge.
        num_users: Number of users.
        num_items: Number of items.

    Example:
        >>> to_user, to_item = root_norm_graphs(torch.tensor([[0, 1], [0, 0]]), 2, 1)
        >>> to_user, to_item.matmul(torch.ones(2, 1))
        (Adjacency(2 x 1, 2 edges), tensor([[1.4142]]))
    """
    back = edge_index.flip(0)
    to_user = Adjacency.from_edge_index(
        back, root_norm(back, num_users), num_src=num_items, num_dst=num_users
    )
    to_item = Adjacency.from_edge_index(
        edge_index,
        root_norm(edge_index, num_items),
        num_src=num_users,
        num_dst=num_items,
    )
    return to_user, to_item
