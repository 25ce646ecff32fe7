"""Exact duplicates among the rows of a feature table."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.knn.blocks import rows_at_once

_INTEGER = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def distinct_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """Find the rows that are equal value for value.

    Catalogues hold many: every item without an image carries the same mean or
    placeholder vector. Such rows are tied in every list, so the kNN builder
    searches among distinct rows only and expands the lists afterwards.

    Args:
        x: Features, without NaN.

    Returns:
        ``first`` int64 ``[U]``, the first row of each group of equal rows,
        ascending; ``group`` int64 ``[N]``, the group of every row.

    Shapes:
        x: ``[N, D]``.

    Example:
        >>> first, group = distinct_rows(torch.tensor([[1.0], [2.0], [1.0]]))
        >>> first.tolist(), group.tolist()
        ([0, 1], [0, 1, 0])
    """
    position = torch.arange(len(x), device=x.device)
    _, group = _hash(x).unique(return_inverse=True)
    first = _first_of(group, position)
    copies = (first[group] != position).nonzero().flatten()
    if (x[copies] != x[first[group[copies]]]).any():  # two rows, one hash
        _, group = x.unique(dim=0, return_inverse=True)
        first = _first_of(group, position)
    first, by_first = first.sort()
    rank = torch.empty_like(by_first)
    rank[by_first] = torch.arange(len(by_first), device=x.device)
    return first, rank[group]


def _first_of(group: Tensor, position: Tensor) -> Tensor:
    num_groups = int(group.max()) + 1 if len(group) else 0
    first = position.new_full((num_groups,), len(position))
    return first.scatter_reduce(0, group, position, "amin")


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
