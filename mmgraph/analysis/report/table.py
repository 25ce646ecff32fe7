"""Tables of a report, and what their cells show and sort by."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

#: Text stands as it is, a number with four significant digits, None as nothing.
Cell = str | int | float | None

# What a cell such as "< .001", "+0.0123 (VBPR)", "19,445" or ".0754 ± .0012" sorts by.
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
        """One flag per column: True where no cell is a number."""
        values = [[sort_value(cell) for cell in row] for row in self.rows]
        return [all(row[n] is None for row in values) for n in range(len(self.columns))]

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
        caption = [self.caption, ""] if self.caption else []
        return "\n".join([*caption, *lines, ""])


def sort_value(cell: Cell) -> float | None:
    """The number that a cell is sorted by; None for text, which goes by the alphabet.

    Example:
        >>> [sort_value(cell) for cell in (".0754 ± .0012", "< .001", "1,024", "VBPR")]
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
    """The text of a cell.

    Example:
        >>> [cell_text(cell) for cell in ("a", 1024, 0.123456, None, float("nan"))]
        ['a', '1024', '0.1235', '', 'nan']
    """
    if cell is None:
        return ""
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
