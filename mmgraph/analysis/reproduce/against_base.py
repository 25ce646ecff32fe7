"""Variants against the system that they are variants of, user by user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmgraph.analysis.leaderboard.table import (
    Bases,
    Comparison,
    build_leaderboard,
    other_options_note,
)
from mmgraph.analysis.reproduce.context import ExperimentContext
from mmgraph.analysis.statistics.significance import HOW_COMPARED
from mmgraph.bench.spec import ModelSpec

#: Heads of the cells that ``leaderboard.render.comparison_cells`` gives.
COLUMNS = (
    *("R@20 less base", "95 %", "By seed", "Detectable"),
    *("p", "p (t)", "p (Wilcoxon)"),
)
NOTE = f"Base: the system in brackets; the metric is recall@20. {HOW_COMPARED}"


def comparisons(
    context: ExperimentContext,
    lines: Sequence[Mapping[str, Any]],
    *,
    bases: Bases = ModelSpec.ancestors,
) -> dict[str, Comparison]:
    """The comparison of each variant with its base, by label of the variant.

    Args:
        context: The experiment of the runs.
        lines: Their lines of results.
        bases: The systems that one may be compared with; the first that was run is.
    """
    if not lines:
        return {}
    board = build_leaderboard(lines, context.per_user(lines), bases=bases)
    return {row.label: row.comparison for row in board.rows if row.comparison}


def host(spec: ModelSpec) -> list[ModelSpec]:
    """The system without its plug-in; none of one that has no plug-in.

    Example:
        >>> from mmgraph.bench.spec import parse_spec
        >>> [str(base) for base in host(parse_spec("FREEDOM+CLEAR:where=graph"))]
        ['FREEDOM']
    """
    return [ModelSpec(spec.model, None, spec.fidelity)] if spec.plugin else []


def notes(compared: Mapping[str, Comparison]) -> list[str]:
    """Notes for a reader of these comparisons.

    Example:
        >>> notes({}) == [NOTE]
        True
    """
    differing = (other_options_note(*item) for item in compared.items())
    return [NOTE, *(note for note in differing if note)]
