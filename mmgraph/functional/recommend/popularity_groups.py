"""Users or items by how many training interactions they have."""

from __future__ import annotations

from torch import Tensor

#: Names of the groups, by their number.
GROUPS = ("cold", "warm", "popular")
#: Ratio of the largest among those with interactions.
POPULAR = 0.2


def popularity_groups(degree: Tensor) -> Tensor:
    """Number of the group of each user or item.

    ``popular`` is the fifth of those with interactions that has most of them, ``warm``
    the others with interactions, ``cold`` those without.

    Args:
        degree: Training interactions of each.

    Returns:
        int64, of the same shape: the position in :data:`GROUPS`.

    Example:
        >>> import torch
        >>> popularity_groups(torch.tensor([5, 0, 1, 2, 9, 3]))
        tensor([1, 0, 1, 1, 2, 1])
    """
    group = (degree > 0).long()
    largest = degree.argsort(descending=True, stable=True)
    group[largest[: round(POPULAR * int(group.sum()))]] = 2
    return group
