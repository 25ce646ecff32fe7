"""A leaderboard as a table, as Markdown, as an HTML page, and as files of a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mmgraph.analysis.leaderboard.figures import mean_figure, training_figure
from mmgraph.analysis.leaderboard.table import (
    METRICS,
    TESTED,
    Comparison,
    Leaderboard,
    Row,
    build_leaderboard,
)
from mmgraph.analysis.report.formatting import (
    bytes_text,
    decimals,
    interval_text,
    p_value_text,
    signed_interval_text,
    signed_series_text,
    spread_text,
    starred_text,
)
from mmgraph.analysis.report.page import Figure, Section, page
from mmgraph.analysis.report.provenance import provenance
from mmgraph.analysis.report.table import Table, markdown_text
from mmgraph.bench.results_folder import (
    RESULTS,
    read_histories,
    read_per_user,
    read_results,
)
from mmgraph.errors import UserError
from mmgraph.files import write_atomic

#: A row in three parts, each narrow enough for a page: significance comes first.
RANKED = (
    *("System", "Seeds", "R@20", "R@20 95 %", "vs base", "vs base 95 %", "p"),
    *("N@20", "Published R@20"),
)
FURTHER = ("R@10", "N@10", "By seed", "Detectable", "p (t)", "p (Wilcoxon)")
TRAINING = ("Valid R@20", "Epochs", "s/epoch", "Peak memory")
COLUMNS = (*RANKED, *FURTHER, *TRAINING)


def write_leaderboard(
    folder: Path, *, notes: Sequence[str] = (), command: str | None = None
) -> Leaderboard:
    """Summarise a benchmark folder in its ``leaderboard.md`` and ``report.html``.

    Args:
        folder: A folder with ``results.jsonl``, as a benchmark leaves it.
        notes: Notes to add to its own.
        command: The command that it is of, to be told in the report.

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
    board = build_leaderboard(
        lines, read_per_user(folder, lines), read_histories(folder, lines)
    )
    board.notes.extend(notes)
    made = provenance(command, lines)
    write_atomic(folder / "leaderboard.md", to_markdown(board, made))
    write_atomic(folder / "report.html", to_html(board, made))
    return board


def to_table(board: Leaderboard) -> Table:
    """The rows of a leaderboard as texts, without the columns that all leave empty.

    Example:
        >>> means = dict.fromkeys(METRICS, 0.25)
        >>> row = Row("SEA", 1, means, None, 0.2, 3, 0.5, 1, None, {}, 0)
        >>> to_table(Leaderboard("toy", [row])).columns[:4]
        ['System', 'Seeds', 'R@20', 'N@20']
    """
    return Table(COLUMNS, [_cells(row) for row in board.rows]).without_empty_columns()


def to_markdown(board: Leaderboard, made: Mapping[str, str] | None = None) -> str:
    """The leaderboard as a Markdown page, ``made`` as :func:`to_html` takes it.

    Example:
        >>> print(to_markdown(Leaderboard("toy", [], ["A note."])).splitlines()[0])
        # Leaderboard: toy
    """
    notes = [f"- {markdown_text(note)}" for note in board.notes]
    notes += [f"- {name}: {markdown_text(fact)}" for name, fact in (made or {}).items()]
    heading = f"# Leaderboard: {markdown_text(board.data)}"
    return "\n".join([heading, "", to_table(board).to_markdown(), *notes, ""])


def to_html(board: Leaderboard, made: Mapping[str, str] | None = None) -> str:
    """The leaderboard as one self-contained HTML page.

    Without matplotlib the figures are left out, and the page says how to get them.

    Args:
        board: The leaderboard.
        made: Facts under its title, as
            :func:`~mmgraph.analysis.report.provenance.provenance` gives them.

    Example:
        >>> "<h1>Leaderboard: a &amp; b</h1>" in to_html(Leaderboard("a & b", []))
        True
    """
    title = f"Leaderboard: {board.data}"
    if not board.rows:
        return page(title, [Section("", notes=board.notes)], made)
    about: list[str] = []
    means: list[Figure] = []
    training: list[Figure] = []
    try:
        means.append(mean_figure(board))
        training += [figure for figure in [training_figure(board)] if figure]
    except UserError as missing:
        about.append(f"The {missing.what}: {missing.fix}")
    sections = [
        Section("Accuracy", about, _parts(board, RANKED[1:], FURTHER), means),
        Section("Training", [], _parts(board, TRAINING), training),
        Section("Notes", notes=board.notes),
    ]
    return page(title, sections, made)


def _parts(board: Leaderboard, *parts: Sequence[str]) -> list[Table]:
    """The table part by part, each with the rows that have anything there."""
    whole = to_table(board)
    known = [[name for name in part if name in whole.columns] for part in parts]
    tables = [whole.select(["System", *names]) for names in known if names]
    return [replace(t, rows=[row for row in t.rows if any(row[1:])]) for t in tables]


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
    difference, ends, by_seed, detectable, p, *other_tests = comparison_cells(
        row.comparison
    )
    recall_10, recall_20, ndcg_10, ndcg_20 = spreads
    ranked = [row.label, str(row.num_seeds), recall_20, interval_text(row.interval)]
    ranked += [difference, ends, p, ndcg_20, _published(row)]
    further = [recall_10, ndcg_10, by_seed, detectable, *other_tests]
    return [*ranked, *further, decimals(row.valid), *_cost(row)]


def _cost(row: Row) -> list[str]:
    """Epochs, seconds per epoch and peak memory; nothing of what was not trained."""
    if row.is_floor:
        return ["", "", ""]
    memory = bytes_text(row.peak_memory_bytes)
    return [f"{row.epochs:.0f}", f"{row.seconds_per_epoch:.2f}", memory]


def _published(row: Row) -> str:
    if row.published is None:
        return ""
    target = row.published[TESTED]
    return f"{decimals(target)} ({row.mean[TESTED] / target:.0%})"
