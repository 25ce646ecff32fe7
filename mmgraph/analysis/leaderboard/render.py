"""A leaderboard as a table, as Markdown, as an HTML page, and as files of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmgraph.analysis.leaderboard.table import (
    METRICS,
    TESTED,
    Comparison,
    Leaderboard,
    Row,
    build_leaderboard,
)
from mmgraph.analysis.report.formatting import (
    decimals,
    interval_text,
    p_value_text,
    signed_interval_text,
    signed_series_text,
    spread_text,
    starred_text,
)
from mmgraph.analysis.report.page import Section, page
from mmgraph.analysis.report.table import Table, markdown_text
from mmgraph.bench.results_folder import RESULTS, read_per_user, read_results
from mmgraph.errors import UserError
from mmgraph.files import write_atomic

COLUMNS = (
    "System",
    "Seeds",
    "R@10",
    "R@20",
    "R@20 95 %",
    "N@10",
    "N@20",
    "Published R@20",
    "Valid R@20",
    "vs base",
    "vs base 95 %",
    "By seed",
    "Detectable",
    "p",
    "p (t)",
    "p (Wilcoxon)",
    "Epochs",
    "s/epoch",
    "Peak MB",
)


def write_leaderboard(folder: Path, *, notes: Sequence[str] = ()) -> Leaderboard:
    """Summarise a benchmark folder in its ``leaderboard.md`` and ``report.html``.

    Args:
        folder: A folder with ``results.jsonl``, as a benchmark leaves it.
        notes: Notes to add to its own.

    Returns:
        The leaderboard that was written.

    Raises:
        UserError: If no run has finished, or the file is not readable.

    Example:
        >>> write_leaderboard(Path("nowhere"))
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: nowhere/results.jsonl: no run has finished - \
run mmgraph bench first
    """
    lines = read_results(folder)
    if not lines:
        raise UserError(
            "no run has finished", "run mmgraph bench first", path=folder / RESULTS
        )
    board = build_leaderboard(lines, read_per_user(folder, lines))
    board.notes.extend(notes)
    write_atomic(folder / "leaderboard.md", to_markdown(board))
    write_atomic(folder / "report.html", to_html(board))
    return board


def to_table(board: Leaderboard) -> Table:
    """The rows of a leaderboard as texts.

    Example:
        >>> to_table(Leaderboard("toy", [])).columns[:2]
        ('System', 'Seeds')
    """
    return Table(COLUMNS, [_cells(row) for row in board.rows])


def to_markdown(board: Leaderboard) -> str:
    """The leaderboard as a Markdown page.

    Example:
        >>> print(to_markdown(Leaderboard("toy", [], ["A note."])).splitlines()[0])
        # Leaderboard: toy
    """
    notes = [f"- {markdown_text(note)}" for note in board.notes]
    heading = f"# Leaderboard: {markdown_text(board.data)}"
    return "\n".join([heading, "", to_table(board).to_markdown(), *notes, ""])


def to_html(board: Leaderboard) -> str:
    """The leaderboard as one self-contained HTML page.

    Example:
        >>> "<h1>Leaderboard: a &amp; b</h1>" in to_html(Leaderboard("a & b", []))
        True
    """
    section = Section("", tables=[to_table(board)], notes=board.notes)
    return page(f"Leaderboard: {board.data}", [section])


def comparison_cells(comparison: Comparison | None) -> list[str]:
    """Difference and base, interval, by seed, detectable, p; empty without a base.

    Example:
        >>> set(comparison_cells(None)), len(comparison_cells(None))
        ({''}, 7)
    """
    if comparison is None:
        return [""] * 7
    difference = starred_text(comparison.difference, comparison.p_value)
    return [
        f"{difference} ({comparison.base})",
        signed_interval_text(comparison.interval),
        signed_series_text(comparison.per_seed),
        decimals(comparison.detectable),
        p_value_text(comparison.p_value),
        p_value_text(comparison.t_p_value),
        p_value_text(comparison.wilcoxon_p_value),
    ]


def _cells(row: Row) -> list[str]:
    spreads = [
        spread_text(row.mean[metric], None if row.sd is None else row.sd[metric])
        for metric in METRICS
    ]
    return [
        row.label,
        str(row.num_seeds),
        *spreads[:2],
        interval_text(row.interval),
        *spreads[2:],
        _published(row),
        decimals(row.valid),
        *comparison_cells(row.comparison),
        f"{row.epochs:.0f}",
        f"{row.seconds_per_epoch:.2f}",
        f"{row.peak_memory_bytes / 1e6:.0f}",
    ]


def _published(row: Row) -> str:
    if row.published is None:
        return ""
    target = row.published[TESTED]
    return f"{decimals(target)} ({row.mean[TESTED] / target:.0%})"
