"""Rows of a table that cannot be taken, all of one kind at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmgraph.errors import UserError


class BadRowsError(UserError):
    """Rows that share a fault; the message names the first of them.

    A reader that wants all faults takes :attr:`positions` out and parses the rest.

    Args:
        positions: Of the bad rows in the column, ascending.
        kind: What is wrong with each of them.
        what: What is wrong with the first of them.
        fix: Remedy.
        path: The file, if the column is from one.
        row: Row of the first in the file.

    Example:
        >>> what = "empty user id"
        >>> bad = BadRowsError(np.array([3, 7]), what, what, "fill it in")
        >>> bad.positions.tolist(), bad.kind
        ([3, 7], 'empty user id')
    """

    def __init__(
        self,
        positions: np.ndarray,
        kind: str,
        what: str,
        fix: str,
        *,
        path: Path | None = None,
        row: int | None = None,
    ) -> None:
        super().__init__(what, fix, path=path, row=row)
        self.positions, self.kind = positions, kind


def refuse_rows(
    wrong: np.ndarray, what: str, fix: str, path: Path, first_row: int
) -> None:
    """Refuse the rows of a column that are marked.

    Args:
        wrong: bool ``[n]``.
        what: What is wrong with them.
        fix: Remedy.
        path: The file.
        first_row: Row of the first value in the file.

    Raises:
        BadRowsError: If any is marked.

    Example:
        >>> refuse_rows(np.array([True]), "no user", "fill it in", Path("a.csv"), 2)
        Traceback (most recent call last):
        mmgraph.data.formats.bad_rows.BadRowsError: a.csv:2: no user - fill it in
    """
    positions = np.flatnonzero(wrong)
    if positions.size:
        row = int(positions[0]) + first_row
        raise BadRowsError(positions, what, what, fix, path=path, row=row)
