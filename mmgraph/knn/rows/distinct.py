"""Exact duplicates among the rows of a feature table."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.knn.rows.chunks import rows_at_once

_INTEGER = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def distinct_rows(x: Tensor, row: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Find the rows that are equal value for value.

    Catalogues hold many: every item without an image carries the same mean or
    placeholder vector. Such rows are tied in every list, so the kNN builder
    searches among distinct rows only and expands the lists afterwards.

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
    step = rows_at_once(x)
    pairs = zip(a.split(step), b.split(step), strict=True)
    return all(torch.equal(x[i], x[j]) for i, j in pairs)


def _hash(x: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    limit = torch.iinfo(torch.int64)
    factor = torch.randint(limit.min, limit.max, (x.size(1),), generator=generator).to(
        x.device
    )
    integer = _INTEGER[x.element_size()]
    # Adding 0.0 gives -0.0 and 0.0, which are equal, the same bits.
    parts = [
        (rows + 0.0).view(integer).long().mul_(factor).sum(1)
        for rows in x.split(rows_at_once(x))
    ]
    return torch.cat(parts)
