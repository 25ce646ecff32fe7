"""Equal rows of a feature matrix: within one that is in memory, and in any other."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from mmgraph.functional.block_sizes import WORKING_COPY

Digests = np.ndarray[tuple[int, int], np.dtype[np.uint64]]

_INTEGER = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def distinct_rows(x: Tensor, row: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Find the rows of a matrix in memory that are equal value for value.

    Catalogues hold many: every item without an image carries the same mean or
    placeholder vector. Such rows are tied everywhere, so the kNN builder
    searches among distinct rows only and expands the result afterwards.

    Args:
        x: Features.
        row: Rows to look at, without NaN; all by default.

    Returns:
        ``first`` int64 ``[U]``, the first row of each group of equal rows,
        ascending; ``group`` int64 ``[N]``, the group of every row. With ``row``, both
        count the rows given, not those of ``x``.

    Shapes:
        x: ``[N, D]``.

    Example:
        >>> first, group = distinct_rows(torch.tensor([[1.0], [2.0], [1.0]]))
        >>> first.tolist(), group.tolist()
        ([0, 1], [0, 1, 0])
    """
    code = _hash(x) if row is None else _hash(x)[row]
    position = torch.arange(len(code), device=x.device)
    _, group = code.unique(return_inverse=True)
    first = _first_of(group, position)
    copies = (first[group] != position).nonzero().flatten()
    if not _equal(x, row, copies, first[group[copies]]):  # two rows, one hash
        _, group = (x if row is None else x[row]).unique(dim=0, return_inverse=True)
        first = _first_of(group, position)
    first, by_first = first.sort()
    rank = torch.empty_like(by_first)
    rank[by_first] = torch.arange(len(by_first), device=x.device)
    return first, rank[group]


def _first_of(group: Tensor, position: Tensor) -> Tensor:
    num_groups = int(group.max()) + 1 if len(group) else 0
    first = position.new_full((num_groups,), len(position))
    return first.scatter_reduce(0, group, position, "amin")


def _equal(x: Tensor, row: Tensor | None, a: Tensor, b: Tensor) -> bool:
    if row is not None:
        a, b = row[a], row[b]
    step = WORKING_COPY.rows(x.size(1), x.device)
    pairs = zip(a.split(step), b.split(step), strict=True)
    return all(torch.equal(x[i], x[j]) for i, j in pairs)


def _hash(x: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    limit = torch.iinfo(torch.int64)
    factor = torch.randint(limit.min, limit.max, (x.size(1),), generator=generator).to(
        x.device
    )
    integer = _INTEGER[x.element_size()]
    parts = [
        _one_zero(rows).view(integer).long().mul_(factor).sum(1)
        for rows in WORKING_COPY.split(x)
    ]
    return torch.cat(parts)


def _one_zero(x: Tensor) -> Tensor:
    """A copy in which -0.0 and 0.0, which are equal, have the same bits."""
    return x + 0.0


def row_digests(x: Tensor) -> Digests:
    """A fingerprint per row, the same for rows that are equal value for value.

    For rows that are never in memory together. It is 128 bits of BLAKE2b: unlike the
    quick hash of :func:`distinct_rows` it needs no second look at the rows. That any
    two rows of a billion that differ have one fingerprint happens with a probability
    of 1e-21.

    Args:
        x: Rows on the CPU, of a floating dtype.

    Returns:
        uint64 ``[N, 2]``.

    Shapes:
        x: ``[N, D]``.

    Example:
        >>> digest = row_digests(torch.tensor([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0]]))
        >>> (digest[0] == digest[1]).all(), (digest[0] == digest[2]).any()
        (np.True_, np.False_)
    """
    rows = _one_zero(x).contiguous().numpy()
    digests = (hashlib.blake2b(row, digest_size=16).digest() for row in rows)
    return np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2)


def later_copies(digests: Digests) -> Tensor:
    """Rows that have an equal row before them.

    Args:
        digests: Of all rows, as :func:`row_digests` makes them.

    Returns:
        Their positions, int64, in no order.

    Shapes:
        digests: ``[N, 2]``.

    Example:
        >>> later_copies(np.array([[5, 1], [5, 2], [5, 1]], np.uint64))
        tensor([2])
    """
    order = np.lexsort(digests.T)  # stable: the first row of a group comes first
    equal = np.ones(max(0, len(order) - 1), bool)
    for column in digests.T:  # one at a time: there may be many rows
        value = column[order]
        equal &= value[1:] == value[:-1]
    return torch.from_numpy(order[1:][equal])
