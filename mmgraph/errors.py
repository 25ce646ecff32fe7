"""The one exception that means: the user can mend this."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any


class UserError(ValueError):
    """Bad input, told in one line: where, what is wrong, what to do.

    Args:
        what: What is wrong, without a final full stop.
        fix: What to do about it.
        path: The file at fault, if one is.
        row: Its row, counted from 1 with the header as row 1 (or the row of an
            array, counted from 0, where the message says "row" itself).

    Example:
        >>> print(UserError("no column 'userID'", "rename it", path="a.inter", row=1))
        a.inter:1: no column 'userID' - rename it
    """

    def __init__(
        self,
        what: str,
        fix: str,
        *,
        path: str | Path | None = None,
        row: int | None = None,
    ) -> None:
        self.what, self.fix, self.path, self.row = what, fix, path, row
        place = "" if path is None else f"{path}: "
        if path is not None and row is not None:
            place = f"{path}:{row}: "
        super().__init__(f"{place}{what} - {fix}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel whole from a worker process, whose exceptions are copied by this."""
        return partial(UserError, path=self.path, row=self.row), (self.what, self.fix)
