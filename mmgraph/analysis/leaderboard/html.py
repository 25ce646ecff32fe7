"""A leaderboard as a page of its own."""

from __future__ import annotations

from mmgraph.analysis.leaderboard.render import COLUMNS, cells
from mmgraph.analysis.leaderboard.table import Leaderboard
from mmgraph.analysis.report.page import Section, Table, page


def to_html(board: Leaderboard) -> str:
    """The leaderboard as one self-contained HTML page.

    Example:
        >>> "<h1>Leaderboard: a &amp; b</h1>" in to_html(Leaderboard("a & b", []))
        True
    """
    table = Table(COLUMNS, [cells(row) for row in board.rows])
    section = Section("", tables=[table], notes=board.notes)
    return page(f"Leaderboard: {board.data}", [section])
