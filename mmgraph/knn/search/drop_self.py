"""Neighbours that were searched with every row among its own candidates."""

from __future__ import annotations

from torch import Tensor


def drop_self(
    centre: Tensor, neighbour: Tensor, similarity: Tensor
) -> tuple[Tensor, Tensor]:
    """Take each centre out of its neighbours, or the last one if it is not among them.

    Args:
        centre: Ids of the centres.
        neighbour: Ids of their neighbours.
        similarity: Their similarities.

    Returns:
        Neighbours and similarities, one per centre fewer.

    Shapes:
        centre: ``[B]``; neighbour, similarity: ``[B, K]``; returns ``[B, K - 1]``
        twice.

    Example:
        >>> import torch
        >>> neighbour = torch.tensor([[3, 5], [4, 5]])
        >>> drop_self(torch.tensor([3, 9]), neighbour, torch.ones(2, 2))[0].tolist()
        [[5], [4]]
    """
    other = neighbour != centre[:, None]
    other[:, -1] &= ~other.all(1)
    shape = (len(neighbour), neighbour.size(1) - 1)
    return neighbour[other].view(shape), similarity[other].view(shape)
