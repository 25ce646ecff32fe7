"""User-item pairs as single numbers, so that sets of edges compare in one call."""

from __future__ import annotations

import numpy as np
import pandas as pd


def pair_keys(user: np.ndarray, item: np.ndarray, num_items: int) -> np.ndarray:
    """One int64 per pair, equal where and only where the pairs are equal.

    Args:
        user: User positions.
        item: Item positions, below ``num_items``.
        num_items: Number of items.

    Returns:
        int64 array, ``user * num_items + item``.

    Example:
        >>> pair_keys(np.array([0, 2]), np.array([1, 0]), 3).tolist()
        [1, 6]
    """
    return user.astype(np.int64) * num_items + item


def first_duplicate(keys: np.ndarray) -> tuple[int, int] | None:
    """Positions of the first repeated value and of its first occurrence.

    Args:
        keys: One-dimensional array.

    Returns:
        ``(first, again)`` for the smallest ``again``, or None if all are distinct.

    Example:
        >>> first_duplicate(np.array([4, 7, 9, 7, 4]))
        (1, 3)
    """
    repeated = np.flatnonzero(pd.Series(keys).duplicated())
    if not repeated.size:
        return None
    again = int(repeated[0])
    return int(np.flatnonzero(keys == keys[again])[0]), again
