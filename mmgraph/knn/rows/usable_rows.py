"""Which rows of a feature table can have neighbours, and why the others cannot."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mmgraph.knn.metric.similarity import row_norms
from mmgraph.knn.rows.distinct import distinct_rows

NAN = ("refuse", "isolate")
DUPLICATES = ("keep", "collapse")


@dataclass(frozen=True)
class UsableRows:
    """The rows of a table that take part in its graph.

    Attributes:
        row: Their numbers, int64, ascending; the others have no edge.
        norm: Norms of all rows, float64; 0 for a row that is not finite.
        first: Positions in ``row``, one per group of equal rows: the first of each.
        group: Group of every position in ``row``.
        zero_rows: Rows of zeros.
        nan_rows: Rows with NaN or infinity.
        duplicate_groups: Groups of at least two equal rows.
        collapsed_rows: Copies left out.
    """

    row: Tensor
    norm: Tensor
    first: Tensor
    group: Tensor
    zero_rows: int
    nan_rows: int
    duplicate_groups: int
    collapsed_rows: int


def check_policies(nan: str, duplicates: str) -> None:
    """Refuse a policy that does not exist.

    Raises:
        ValueError: ``nan`` or ``duplicates`` is unknown.

    Example:
        >>> check_policies("isolate", "drop")
        Traceback (most recent call last):
        ValueError: duplicates must be one of ('keep', 'collapse') (got 'drop')
    """
    if nan not in NAN:
        raise ValueError(f"nan must be one of {NAN} (got {nan!r})")
    if duplicates not in DUPLICATES:
        raise ValueError(f"duplicates must be one of {DUPLICATES} (got {duplicates!r})")


def usable_rows(
    x: Tensor, *, nan: str = "refuse", duplicates: str = "keep"
) -> UsableRows:
    """Find zero rows, rows that are not finite, and equal rows.

    Args:
        x: Features of a floating dtype.
        nan: ``refuse`` a row with NaN or infinity, or ``isolate`` it as a zero row is.
        duplicates: ``keep`` equal rows, or ``collapse`` them: the first stands for all
            and the copies are isolated.

    Returns:
        The usable rows and the counts of the others.

    Raises:
        ValueError: An option is unknown, or a row is refused.

    Shapes:
        x: ``[N, D]``.

    Example:
        >>> x = torch.tensor([[1.0], [0.0], [torch.nan], [1.0]])
        >>> found = usable_rows(x, nan="isolate", duplicates="collapse")
        >>> found.row.tolist(), found.nan_rows, found.collapsed_rows
        ([0], 1, 1)
    """
    check_policies(nan, duplicates)
    norm = row_norms(x) if len(x) else x.new_zeros(0, dtype=torch.float64)
    broken = ~norm.isfinite()
    nan_rows = int(broken.sum())
    if nan_rows and nan == "refuse":
        bad = int(broken.nonzero()[0])
        raise ValueError(f"features must be finite: row {bad} holds NaN or infinity")
    norm.masked_fill_(broken, 0.0)
    row = norm.nonzero().flatten()
    zero_rows = len(x) - len(row) - nan_rows
    first, group = distinct_rows(x, row if len(row) < len(x) else None)
    duplicate_groups = int((group.bincount() > 1).sum())
    collapsed = 0
    if duplicates == "collapse":
        collapsed = len(row) - len(first)
        row = row[first]
        first = group = torch.arange(len(row), device=x.device)
    return UsableRows(
        row, norm, first, group, zero_rows, nan_rows, duplicate_groups, collapsed
    )
