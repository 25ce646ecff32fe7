"""The one order of every list: similarity descending, then id ascending."""

from __future__ import annotations

import torch
from torch import Tensor


def take_best(
    row: Tensor, col: Tensor, similarity: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Keep each row's first ``count`` pairs in the order (similarity, id).

    Args:
        row: Row of each pair; every row present has at least ``count`` pairs.
        col: Id of each pair.
        similarity: Similarity of each pair, without NaN.
        count: Pairs to keep per row.

    Returns:
        Ids and similarities, the rows ascending.

    Shapes:
        row, col, similarity: ``[P]``; returns ``[R, count]`` twice, R the number of
        rows present.

    Example:
        >>> row, col = torch.tensor([0, 0, 0]), torch.tensor([2, 1, 0])
        >>> take_best(row, col, torch.tensor([0.5, 0.5, 0.1]), 2)
        (tensor([[1, 2]]), tensor([[0.5000, 0.5000]]))
    """
    order = col.argsort()
    order = order[similarity[order].argsort(descending=True, stable=True)]
    order = order[row[order].argsort(stable=True)]
    _, length = row[order].unique_consecutive(return_counts=True)
    begin = length.cumsum(0) - length
    chosen = order[begin[:, None] + torch.arange(count, device=row.device)]
    return col[chosen], similarity[chosen]
