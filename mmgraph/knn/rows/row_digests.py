"""Exact duplicates among rows that are never in memory together."""

from __future__ import annotations

import hashlib

import numpy as np
from torch import Tensor

Digests = np.ndarray[tuple[int, int], np.dtype[np.uint64]]


def row_digests(x: Tensor) -> Digests:
    """A fingerprint per row, the same for rows that are equal value for value.

    It is 128 bits of BLAKE2b: unlike the quick hash of
    :func:`mmgraph.knn.rows.distinct.distinct_rows` it needs no second look at the rows.
    That any two rows of a billion that differ have one fingerprint happens with a
    probability of 1e-21.

    Args:
        x: Rows on the CPU, of a floating dtype.

    Returns:
        uint64 ``[N, 2]``.

    Shapes:
        x: ``[N, D]``.

    Example:
        >>> import torch
        >>> digest = row_digests(torch.tensor([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0]]))
        >>> (digest[0] == digest[1]).all(), (digest[0] == digest[2]).any()
        (np.True_, np.False_)
    """
    # Adding 0.0 gives -0.0 and 0.0, which are equal, the same bits.
    rows = (x + 0.0).contiguous().numpy()
    digests = (hashlib.blake2b(row, digest_size=16).digest() for row in rows)
    return np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2)


def later_copies(digests: Digests) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Rows that have an equal row before them.

    Args:
        digests: Of all rows, as :func:`row_digests` makes them.

    Returns:
        Their positions, int64, in no order.

    Shapes:
        digests: ``[N, 2]``.

    Example:
        >>> later_copies(np.array([[5, 1], [5, 2], [5, 1]], np.uint64))
        array([2])
    """
    order = np.lexsort(digests.T)  # stable: the first row of a group comes first
    equal = np.ones(max(0, len(order) - 1), bool)
    for column in digests.T:  # one at a time: the table of them may be long
        value = column[order]
        equal &= value[1:] == value[:-1]
    return order[1:][equal]
