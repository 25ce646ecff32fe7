"""Variants against the system that they are variants of, user by user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmgraph.analysis.leaderboard.render import p_text, signed_ends_text
from mmgraph.analysis.leaderboard.table import (
    Comparison,
    build_leaderboard,
    other_options_note,
)
from mmgraph.analysis.reproduce.context import Lab

COLUMNS = ("R@20 less base", "95 %", "p (t)", "p (Wilcoxon)")
NOTE = (
    "Base: the nearest system that this one is a variant of. 95 %: bootstrap interval "
    "of the difference; p: paired tests, corrected by Holm's method. Both are over "
    "users, each one's recall@20 averaged over the seeds, and do not speak of seeds."
)


def comparisons(
    lab: Lab, lines: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """What :class:`~mmgraph.analysis.leaderboard.table.Comparison` holds, by variant.

    Args:
        lab: Where the runs are.
        lines: Their lines of results.
    """
    if not lines:
        return {}
    board = build_leaderboard(lines, lab.per_user(lines))
    return {row.label: vars(row.comparison) for row in board.rows if row.comparison}


def notes(compared: Mapping[str, Mapping[str, Any] | None]) -> list[str]:
    """What a reader of these comparisons must know.

    Args:
        compared: As :func:`comparisons` returns it; None has no base.

    Example:
        >>> notes({"SEA": None}) == [NOTE]
        True
    """
    told = (
        other_options_note(label, Comparison(**found))
        for label, found in compared.items()
        if found is not None
    )
    return [NOTE, *(note for note in told if note)]


def comparison_cells(found: Mapping[str, Any] | None) -> list[str]:
    """The cells of :data:`COLUMNS`, empty without a base.

    Example:
        >>> comparison_cells(None)
        ['', '', '', '']
    """
    if found is None:
        return [""] * len(COLUMNS)
    return [
        f"{found['difference']:+.4f} ({found['base']})",
        signed_ends_text(found["interval"]),
        p_text(found["t_p_value"]),
        p_text(found["wilcoxon_p_value"]),
    ]
