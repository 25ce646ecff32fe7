"""Variants against the system that they are variants of, user by user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmgraph.analysis.leaderboard.table import (
    Comparison,
    build_leaderboard,
    other_options_note,
)
from mmgraph.analysis.reproduce.context import ExperimentContext
from mmgraph.analysis.statistics.significance import HOW_COMPARED

#: Heads of the cells that ``leaderboard.render.comparison_cells`` gives.
COLUMNS = (
    *("R@20 less base", "95 %", "By seed", "Detectable"),
    *("p", "p (t)", "p (Wilcoxon)"),
)
NOTE = (
    "Base: the nearest system that this one is a variant of, measured by recall@20. "
    f"{HOW_COMPARED}"
)


def comparisons(
    context: ExperimentContext, lines: Sequence[Mapping[str, Any]]
) -> dict[str, Comparison]:
    """The comparison of each variant with its base, by label of the variant.

    Args:
        context: The experiment of the runs.
        lines: Their lines of results.
    """
    if not lines:
        return {}
    board = build_leaderboard(lines, context.per_user(lines))
    return {row.label: row.comparison for row in board.rows if row.comparison}


def notes(compared: Mapping[str, Comparison]) -> list[str]:
    """Notes for a reader of these comparisons.

    Example:
        >>> notes({}) == [NOTE]
        True
    """
    differing = (other_options_note(*item) for item in compared.items())
    return [NOTE, *(note for note in differing if note)]
