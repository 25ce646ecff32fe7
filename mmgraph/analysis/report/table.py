"""Tables of a report, and what their cells show and sort by."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

#: Text stands as it is, a number with four significant digits or more, None as nothing.
Cell = str | int | float | None

# What "< 0.001", "+0.0123 (VBPR)", "19,445" or "0.0754 ± 0.0012" sorts by.
_NUMBER = re.compile(r"[<>≤≥]?\s*([-+−]?(?:\d[\d,]*)?\.?\d+(?:e[-+]?\d+)?)(?![\w-])")

_STARTS_OF_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
_PLAIN_NUMBER = re.compile(r"[-+][\d.]+")


@dataclass(frozen=True)
class Table:
    r"""Columns, and rows of as many cells.

    Raises:
        ValueError: If a row is longer or shorter than the columns.

    Example:
        >>> Table(["System", "R@20"], [["VBPR", 0.0663]]).to_csv()
        'System,R@20\r\nVBPR,0.0663\r\n'
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""

    def __post_init__(self) -> None:
        for n, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"row {n} of a table of {len(self.columns)} columns "
                    f"has {len(row)} cells (got {list(row)})"
                )

    def is_text(self) -> list[bool]:
        """One flag per column: True where some cell is a text and no number."""
        texts = [
            [bool(cell_text(cell)) and sort_value(cell) is None for cell in row]
            for row in self.rows
        ]
        return [any(row[n] for row in texts) for n in range(len(self.columns))]

    def select(self, columns: Sequence[str]) -> Table:
        """The table with these of its columns alone, in this order.

        Example:
            >>> Table(["a", "b", "c"], [[1, 2, 3]]).select(["c", "a"]).rows
            [[3, 1]]
        """
        places = [self.columns.index(name) for name in columns]
        rows = [[row[n] for n in places] for row in self.rows]
        return Table(list(columns), rows, self.caption)

    def without_empty_columns(self) -> Table:
        """The table without the columns in which no row has anything.

        Example:
            >>> Table(["a", "b"], [["x", None], ["y", ""]]).without_empty_columns()
            Table(columns=['a'], rows=[['x'], ['y']], caption='')
        """
        filled = [
            name
            for n, name in enumerate(self.columns)
            if any(cell_text(row[n]) for row in self.rows)
        ]
        return self.select(filled)

    def to_csv(self) -> str:
        """The table as CSV for spreadsheets, numbers in full, no text a formula."""
        text = io.StringIO()
        csv.writer(text).writerows(
            [_no_formula(cell) for cell in row] for row in (self.columns, *self.rows)
        )
        return text.getvalue()

    def to_markdown(self) -> str:
        """The table as Markdown, under its caption.

        Example:
            >>> print(Table(["k", "R@20"], [[2, 0.25]]).to_markdown())
            | k | R@20 |
            | --- | --- |
            | 2 | 0.25 |
            <BLANKLINE>
        """
        rows = [
            [markdown_text(cell_text(cell)) for cell in row]
            for row in (self.columns, *self.rows)
        ]
        rows.insert(1, ["---"] * len(self.columns))
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        caption = [markdown_text(self.caption), ""] if self.caption else []
        return "\n".join([*caption, *lines, ""])


def sort_value(cell: Cell) -> float | None:
    """The number that a cell is sorted by; None for text, which goes by the alphabet.

    Example:
        >>> cells = ("0.0754 ± 0.0012", "< 0.001", "1,024", "VBPR")
        >>> [sort_value(cell) for cell in cells]
        [0.0754, 0.001, 1024.0, None]
    """
    if isinstance(cell, int | float):
        return float(cell) if math.isfinite(cell) else None
    match = _NUMBER.match(cell.strip()) if cell else None
    return float(match[1].replace(",", "").replace("−", "-")) if match else None


def markdown_text(text: str) -> str:
    r"""A text as one line of Markdown that is neither markup nor another cell.

    Example:
        >>> print(markdown_text("a|b <script> [x](y)"))
        a\|b &lt;script> \[x](y)
    """
    for mark in ("\\", "|", "[", "`"):
        text = text.replace(mark, "\\" + mark)
    return " ".join(text.replace("<", "&lt;").splitlines())


def _no_formula(cell: Cell) -> Cell:
    """A cell that a spreadsheet shows and does not compute, by an apostrophe."""
    if not isinstance(cell, str) or not cell.startswith(_STARTS_OF_FORMULAS):
        return cell
    return cell if _PLAIN_NUMBER.fullmatch(cell) else f"'{cell}"


def cell_text(cell: Cell) -> str:
    """The text of a cell; what is large has all its digits before the point.

    Example:
        >>> [cell_text(cell) for cell in ("a", 1024, 0.123456, 23456.7, None)]
        ['a', '1024', '0.1235', '23457', '']
    """
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.0f}" if 1000 <= abs(cell) < 1e15 else f"{cell:.4g}"
    return str(cell)
