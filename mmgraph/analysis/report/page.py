"""Reports as one HTML file each: no network, sortable tables, figures with their data.

A page is made of sections; a section of paragraphs, tables, figures and notes. The file
holds everything it shows, and a content security policy forbids it to load more.
"""

from __future__ import annotations

import csv
import io
import math
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template

#: Text stands as it is, a number with four significant digits, None as nothing.
Cell = str | int | float | None

#: Longer data of a figure are offered as a file only.
LONGEST_TABLE = 200
MIMES = ("image/svg+xml", "image/png")

# What a cell such as "< .001", "+0.0123 (VBPR)", "19,445" or ".0754 ± .0012" sorts by.
_NUMBER = re.compile(r"[<>≤≥]?\s*([-+−]?(?:\d[\d,]*)?\.?\d+(?:e[-+]?\d+)?)(?![\w-])")


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
        """By column, whether no cell of it is a number."""
        values = [[sort_value(cell) for cell in row] for row in self.rows]
        return [all(row[n] is None for row in values) for n in range(len(self.columns))]

    def to_csv(self) -> str:
        """The table as CSV, numbers in full."""
        text = io.StringIO()
        csv.writer(text).writerows([self.columns, *self.rows])
        return text.getvalue()


@dataclass(frozen=True)
class Figure:
    """An image with what it shows in words, and the numbers it was drawn from.

    Args:
        image: The content of an SVG or PNG file.
        mime: ``"image/svg+xml"`` or ``"image/png"``.
        alt: What a reader who cannot see it must know.
        caption: What is shown, under the image.
        data: The numbers.

    Raises:
        ValueError: If ``mime`` is another or ``alt`` is empty.
    """

    image: bytes
    mime: str
    alt: str
    caption: str
    data: Table | None = None

    def __post_init__(self) -> None:
        if self.mime not in MIMES:
            raise ValueError(f"'mime' must be one of {MIMES} (got {self.mime!r})")
        if not self.alt:
            raise ValueError("a figure needs a text for those who cannot see it")


@dataclass(frozen=True)
class Section:
    """A part of a page, shown in this order with the figures before the tables."""

    heading: str
    paragraphs: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = ()


def page(title: str, sections: Sequence[Section]) -> str:
    """The sections as one self-contained HTML page.

    It is light or dark as the reader's system is, scrolls wide tables on a phone, and
    sorts a table by any column, by mouse or keyboard. More than one section gets a list
    of contents. All text is escaped; images travel inside the file.

    Args:
        title: Of the page.
        sections: Its parts.

    Returns:
        HTML. The same input gives the same text.

    Example:
        >>> "<h1>A &amp; B</h1>" in page("A & B", [Section("One", ["A text."])])
        True
    """
    return _template().render(title=title, sections=sections, longest=LONGEST_TABLE)


def sort_value(cell: Cell) -> float | None:
    """The number that a cell is sorted by; None for text, which goes by the alphabet.

    Example:
        >>> [sort_value(cell) for cell in (".0754 ± .0012", "< .001", "1,024", "VBPR")]
        [0.0754, 0.001, 1024.0, None]
    """
    if isinstance(cell, int | float):
        return float(cell) if math.isfinite(cell) else None
    found = _NUMBER.match(cell.strip()) if cell else None
    return float(found[1].replace(",", "").replace("−", "-")) if found else None


def shown(cell: Cell) -> str:
    """The text of a cell.

    Example:
        >>> [shown(cell) for cell in ("a", 1024, 0.123456, None, float("nan"))]
        ['a', '1024', '0.1235', '', 'nan']
    """
    if cell is None:
        return ""
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def _image_uri(figure: Figure) -> str:
    # An image, not markup: ids and styles of several SVGs cannot meet, nothing runs.
    return f"data:{figure.mime};base64,{b64encode(figure.image).decode()}"


def _csv_uri(table: Table) -> str:
    content = b64encode(table.to_csv().encode()).decode()
    return f"data:text/csv;charset=utf-8;base64,{content}"


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters |= {
        "sort_value": sort_value,
        "shown": shown,
        "image_uri": _image_uri,
        "csv_uri": _csv_uri,
    }
    source = files("mmgraph.analysis.report").joinpath("page.html.jinja")
    return environment.from_string(source.read_text("utf-8"))
