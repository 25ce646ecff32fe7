"""The most popular items, for users of whom nothing else is known."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.functional.graph.adjacency import Adjacency


def by_popularity(degree: Tensor, candidates: Tensor | None = None) -> Tensor:
    """Items by their number of interactions, the most popular first, ties by number.

    Args:
        degree: Training interactions of each item ``[I]``.
        candidates: The only items, ascending; None: all.

    Example:
        >>> by_popularity(torch.tensor([1, 5, 1, 9]), torch.tensor([0, 1, 2]))
        tensor([1, 0, 2])
    """
    if candidates is None:
        return degree.argsort(descending=True, stable=True)
    candidates = candidates.to(degree.device)
    return candidates[degree[candidates].argsort(descending=True, stable=True)]


def popular_lists(
    degree: Tensor, order: Tensor, k: int, seen: Adjacency
) -> tuple[Tensor, Tensor]:
    r"""The ``k`` most popular items that each user has not seen.

    Args:
        degree: Training interactions of each item ``[I]``.
        order: The items that may come, as :func:`by_popularity` gives them.
        k: Items per user.
        seen: Row = user, columns = the items that are left out.

    Shapes:
        - **output:** items :math:`(B, k')` and their interactions, float32,
          :math:`k' = \min(k, |order|)`; minus infinity where no item is left

    Example:
        >>> seen = Adjacency.from_edge_index(
        ...     torch.tensor([[3], [1]]), num_src=4, num_dst=2
        ... )
        >>> degree = torch.tensor([1, 5, 2, 9])
        >>> popular_lists(degree, by_popularity(degree), 2, seen)[0]
        tensor([[3, 1],
                [1, 2]])
    """
    most = int(seen.rowptr.diff().max()) if seen.num_dst else 0
    order = order[: k + most]  # no user has seen more of them
    place = order.new_full(degree.shape, -1)
    place[order] = torch.arange(len(order), device=order.device)
    score = degree[order].float().repeat(seen.num_dst, 1)
    row, column = seen.row().long(), place[seen.col.long()]
    score[row[column >= 0], column[column >= 0]] = float("-inf")
    score, rank = score.sort(dim=1, descending=True, stable=True)
    return order[rank[:, :k]], score[:, :k]
