"""Results of an experiment: numbers, tables and figures, in files of one folder."""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmgraph.analysis.report.page import Figure, Section
from mmgraph.analysis.report.table import Cell, Table, markdown_text
from mmgraph.errors import UserError
from mmgraph.files import read_json, write_atomic, write_json

NUMBERS, TABLES, SECTION = "numbers.json", "table.md", "section.json"
_ENDINGS = {"image/svg+xml": "svg", "image/png": "png"}


@dataclass
class ExperimentResult:
    """The results of one experiment.

    Args:
        numbers: For machines, JSON values only.
        paragraphs: Text above the figures and tables.
        tables: For readers.
        figures: For readers.
        notes: Text below them.
    """

    numbers: dict[str, Any]
    paragraphs: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = field(default_factory=list)


def write_result(folder: Path, heading: str, result: ExperimentResult) -> list[str]:
    """Write numbers, tables and figures, and the section of the report they make.

    Args:
        folder: The experiment's folder.
        heading: Title of the section.
        result: The results.

    Returns:
        Names of the files that people read.
    """
    names = []
    for n, figure in enumerate(result.figures, start=1):
        stem = "figure" if n == 1 else f"figure-{n}"
        names.append(f"{stem}.{_ENDINGS[figure.mime]}")
        write_atomic(folder / names[-1], figure.image)
    if result.tables:
        names.append(TABLES)
        texts = [table.to_markdown() for table in result.tables]
        notes = [f"- {markdown_text(note)}" for note in result.notes]
        lines = [f"# {heading}", "", *texts, *notes]
        write_atomic(folder / TABLES, "\n".join(lines).rstrip("\n") + "\n")
    write_json(folder / NUMBERS, result.numbers)
    section = Section(
        heading, result.paragraphs, result.tables, result.figures, result.notes
    )
    content = asdict(section)
    for entry in content["figures"]:
        entry["image"] = b64encode(entry["image"]).decode()
    write_json(folder / SECTION, content)
    return [*names, NUMBERS]


def read_section(folder: Path) -> Section | None:
    """The section of the report that :func:`write_result` wrote; None without one.

    Raises:
        UserError: If the file is damaged, or holds something else.

    Example:
        >>> read_section(Path("nowhere")) is None
        True
    """
    path = folder / SECTION
    if not path.exists():
        return None
    fix = f"delete {SECTION} and repeat the experiment"
    content = read_json(path, fix=fix)
    try:
        return Section(
            heading=_text(content["heading"]),
            paragraphs=_texts(content["paragraphs"]),
            tables=[_table(**table) for table in content["tables"]],
            figures=[_figure(**figure) for figure in content["figures"]],
            notes=_texts(content["notes"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError("no section of a report", fix, path=path) from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"no text: {value!r}")
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise TypeError(f"no list: {value!r}")
    return [_text(entry) for entry in value]


def _table(columns: Any, rows: Any, caption: Any) -> Table:
    cells = [[_cell(cell) for cell in row] for row in rows]
    return Table(_texts(columns), cells, _text(caption))


def _cell(value: Any) -> Cell:
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"neither text nor a number: {value!r}")


def _figure(image: Any, mime: Any, alt: Any, caption: Any, data: Any) -> Figure:
    table = None if data is None else _table(**data)
    content = b64decode(_text(image), validate=True)
    return Figure(content, mime, _text(alt), _text(caption), table)


def plain(value: Any) -> Any:
    """A value as JSON can hold it: what is not a finite number becomes null.

    Example:
        >>> plain({"a": [1.0, float("inf")]})
        {'a': [1.0, None]}
    """
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    broken = isinstance(value, float) and not math.isfinite(value)
    return None if broken else value
