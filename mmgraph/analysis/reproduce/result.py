"""What an experiment leaves: numbers, tables and figures, in files of one folder."""

from __future__ import annotations

import json
import math
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmgraph.analysis.report.page import Figure, Section, Table, shown
from mmgraph.files import write_atomic, write_json

NUMBERS, TABLES, SECTION = "numbers.json", "table.md", "section.json"
_ENDINGS = {"image/svg+xml": "svg", "image/png": "png"}


@dataclass
class Outcome:
    """The results of one experiment.

    Args:
        numbers: For machines, JSON values only.
        paragraphs: What was done, in words.
        tables: For readers.
        figures: For readers.
        notes: What must be known beside them.
    """

    numbers: dict[str, Any]
    paragraphs: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = field(default_factory=list)


def write_outcome(folder: Path, heading: str, outcome: Outcome) -> list[str]:
    """Write numbers, tables and figures, and the section of the report they make.

    Args:
        folder: The experiment's folder.
        heading: Title of the section.
        outcome: What to write.

    Returns:
        Names of the files that people read.
    """
    names = []
    for n, figure in enumerate(outcome.figures, start=1):
        stem = "figure" if n == 1 else f"figure-{n}"
        names.append(f"{stem}.{_ENDINGS[figure.mime]}")
        write_atomic(folder / names[-1], figure.image)
    if outcome.tables:
        names.append(TABLES)
        texts = [to_markdown(table) for table in outcome.tables]
        notes = [f"- {note}" for note in outcome.notes]
        lines = [f"# {heading}", "", *texts, *notes]
        write_atomic(folder / TABLES, "\n".join(lines).rstrip("\n") + "\n")
    write_json(folder / NUMBERS, outcome.numbers)
    section = Section(
        heading, outcome.paragraphs, outcome.tables, outcome.figures, outcome.notes
    )
    content = asdict(section)
    for entry in content["figures"]:
        entry["image"] = b64encode(entry["image"]).decode()
    write_json(folder / SECTION, content)
    return [*names, NUMBERS]


def read_section(folder: Path) -> Section | None:
    """The section of the report that :func:`write_outcome` wrote; None without one.

    Example:
        >>> read_section(Path("nowhere")) is None
        True
    """
    path = folder / SECTION
    if not path.exists():
        return None
    content = json.loads(path.read_text("utf-8"))
    for entry in content["figures"]:
        data = entry["data"]
        entry["data"] = None if data is None else Table(**data)
        entry["image"] = b64decode(entry["image"])
    content["tables"] = [Table(**table) for table in content["tables"]]
    content["figures"] = [Figure(**entry) for entry in content["figures"]]
    return Section(**content)


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


def to_markdown(table: Table) -> str:
    """A table as Markdown, under its caption.

    Example:
        >>> print(to_markdown(Table(["k", "R@20"], [[2, 0.25]])))
        | k | R@20 |
        | --- | --- |
        | 2 | 0.25 |
        <BLANKLINE>
    """
    rows = [
        [shown(cell).replace("|", "\\|") for cell in row]
        for row in (table.columns, *table.rows)
    ]
    rows.insert(1, ["---"] * len(table.columns))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    caption = [table.caption, ""] if table.caption else []
    return "\n".join([*caption, *lines, ""])
