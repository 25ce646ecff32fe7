"""Lists that were searched with every row among its own candidates."""

from __future__ import annotations

from torch import Tensor


def without_own(
    own: Tensor, neighbour: Tensor, similarity: Tensor
) -> tuple[Tensor, Tensor]:
    """Take each centre's id out of its list, or the last entry if it is not in.

    Args:
        own: Ids of the centres.
        neighbour: Their lists, ids.
        similarity: Their lists, similarities.

    Returns:
        Lists one shorter.

    Shapes:
        own: ``[B]``; neighbour, similarity: ``[B, W]``; returns ``[B, W - 1]`` twice.

    Example:
        >>> import torch
        >>> neighbour = torch.tensor([[3, 5], [4, 5]])
        >>> without_own(torch.tensor([3, 9]), neighbour, torch.ones(2, 2))[0].tolist()
        [[5], [4]]
    """
    other = neighbour != own[:, None]
    other[:, -1] &= ~other.all(1)
    shape = (len(neighbour), neighbour.size(1) - 1)
    return neighbour[other].view(shape), similarity[other].view(shape)
