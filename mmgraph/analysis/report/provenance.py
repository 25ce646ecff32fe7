"""The date, command and versions behind a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mmgraph.bench.versions import versions


def provenance(
    command: str | None = None,
    lines: Sequence[Mapping[str, Any]] = (),
) -> dict[str, str]:
    """The facts at the head of a report, for :func:`mmgraph.analysis.report.page.page`.

    Args:
        command: The command that made it, None where none did.
        lines: Lines of results that it is about, whose versions count; without any,
            those of this process.

    Example:
        >>> facts = provenance("mmgraph bench", [{"versions": {"mmgraph": "0.5.0"}}])
        >>> facts["Command"], facts["Versions"]
        ('mmgraph bench', 'mmgraph 0.5.0')
    """
    facts = {"Written": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"}
    if command:
        facts["Command"] = command
    found = [line["versions"] for line in lines] if lines else [versions()]
    facts["Versions"] = ", ".join(_each_version(found))
    return facts


def _each_version(found: Sequence[Mapping[str, str]]) -> list[str]:
    """Every package with its version, or those of the runs where they differ."""
    names = dict.fromkeys(name for each in found for name in each)
    return [
        f"{name} {' / '.join(sorted({each[name] for each in found if name in each}))}"
        for name in names
    ]
