"""User-item graphs in which each node divides by the root of its own degree."""

from __future__ import annotations

from torch import Tensor

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.normalize import root_norm


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
        >>> import torch
        >>> to_user, to_item = root_norm_graphs(torch.tensor([[0, 1], [0, 0]]), 2, 1)
        >>> to_user, to_item.matmul(torch.ones(2, 1))
        (Adjacency(2 x 1, 2 edges), tensor([[1.4142]]))
    """
    weight = root_norm(edge_index.flip(0), num_users)
    to_user = Adjacency.bipartite(edge_index, num_users, num_items, weight)
    to_item = Adjacency.from_edge_index(
        edge_index,
        root_norm(edge_index, num_items),
        num_src=num_users,
        num_dst=num_items,
    )
    return to_user, to_item
