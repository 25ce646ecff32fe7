"""Reports as one HTML file each: no network, sortable tables, figures with their data.

A page is made of sections; a section of paragraphs, tables, figures and notes. The file
holds everything it shows, and a content security policy forbids it to load more.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from mmgraph.analysis.report.table import Table, cell_text, sort_value

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

#: Longer data of a figure are offered as a file only.
LONGEST_TABLE = 200
#: Cells of more characters are broken into lines where a table is wider than the page.
LONGEST_LINE = 24
MIMES = ("image/svg+xml", "image/png")


@dataclass(frozen=True)
class Figure:
    """An image with what it shows in words, and the numbers it was drawn from.

    Args:
        image: The content of an SVG or PNG file.
        mime: ``"image/svg+xml"`` or ``"image/png"``.
        alt: Text for readers who cannot see it.
        caption: Text under the image.
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


def page(
    title: str, sections: Sequence[Section], made: Mapping[str, str] | None = None
) -> str:
    """The sections as one self-contained HTML page.

    It is light or dark as the reader's system is, scrolls wide tables on a phone while
    their first column stays, leaves columns out in which nothing stands, and sorts a
    table by any column, by mouse or keyboard. More than one section gets a list of
    contents. All text is escaped; images travel inside the file.

    Args:
        title: Of the page.
        sections: Its parts.
        made: Facts under the title, as
            :func:`~mmgraph.analysis.report.provenance.provenance` gives them.

    Returns:
        HTML. The same input gives the same text.

    Example:
        >>> "<h1>A &amp; B</h1>" in page("A & B", [Section("One", ["A text."])])
        True
    """
    return _template().render(
        title=title,
        sections=sections,
        made=made or {},
        longest=LONGEST_TABLE,
        long=LONGEST_LINE,
    )


def _image_uri(figure: Figure) -> str:
    # An image, not markup: ids and styles of several SVGs cannot meet, nothing runs.
    return f"data:{figure.mime};base64,{b64encode(figure.image).decode()}"


def _csv_uri(table: Table) -> str:
    content = b64encode(table.to_csv().encode()).decode()
    return f"data:text/csv;charset=utf-8;base64,{content}"


def _breakable(text: str) -> Markup:
    """A name, escaped, that a narrow column breaks between its parts."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"(?=[+:,=/])", "<wbr>", str(escape(text))))


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters |= {
        "sort_value": sort_value,
        "cell_text": cell_text,
        "breakable": _breakable,
        "image_uri": _image_uri,
        "csv_uri": _csv_uri,
    }
    source = files("mmgraph.analysis.report").joinpath("page.html.jinja")
    return environment.from_string(source.read_text("utf-8"))
