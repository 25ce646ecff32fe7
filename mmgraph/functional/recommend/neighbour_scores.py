"""Scores of items by the neighbours that a user has seen."""

from __future__ import annotations

from torch import Tensor

from mmgraph.functional.graph.adjacency import Adjacency


def neighbour_scores(history: Adjacency, neighbours: Adjacency) -> Tensor:
    r"""Sum of an item's similarities to those of its neighbours that a user has seen.

    .. math::
        y_{ui} = \sum_{j \in \mathcal{N}(i)} s_{ij} \, r_{uj}

    which is :math:`\mathbf{R} \mathbf{S}^\top`, made from the seen items alone.

    Args:
        history: The matrix :math:`\mathbf{R}`: row = user, columns = her items.
        neighbours: The matrix :math:`\mathbf{S}`: row = item, columns = its neighbours.

    Shapes:
        - **output:** :math:`(B, I)`, a row per row of the history

    Example:
        >>> import torch
        >>> history = Adjacency.bipartite(torch.tensor([[0, 0], [0, 2]]), 1, 3)
        >>> edges = torch.tensor([[1, 0, 2], [0, 1, 1]])
        >>> similarity = torch.tensor([0.9, 0.5, 0.25])
        >>> neighbours = Adjacency.from_edge_index(edges, similarity, num_src=3)
        >>> neighbour_scores(history, neighbours)
        tensor([[0.0000, 0.7500, 0.0000]])
    """
    num_users, num_items = history.num_dst, neighbours.num_dst
    reached = neighbours.t().rows(history.col.long())  # a row per seen item
    user = history.row().long()[reached.row().long()]
    weight = reached.weight * history.weight[reached.row().long()]
    scores = weight.new_zeros(num_users * num_items)
    scores.index_add_(0, user * num_items + reached.col.long(), weight)
    return scores.view(num_users, num_items)
