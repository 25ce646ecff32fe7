"""A leaderboard as plain cells, for every way of showing it, and as Markdown."""

from __future__ import annotations

from mmgraph.analysis.leaderboard.table import METRICS, TESTED, Leaderboard, Row
from mmgraph.analysis.statistics.intervals import Interval

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
    "p (t)",
    "p (Wilcoxon)",
    "Epochs",
    "s/epoch",
    "Peak MB",
)


def cells(row: Row) -> list[str]:
    """The texts of one row, in the order of :data:`COLUMNS`.

    Example:
        >>> mean = dict.fromkeys(METRICS, 0.25)
        >>> row = Row("VBPR", 1, mean, None, 0.3, 4, 0.5, 10**6, None, {}, 0)
        >>> cells(row)[:4]
        ['VBPR', '1', '.2500', '.2500']
    """
    against = row.comparison
    return [
        row.label,
        str(row.num_seeds),
        *(_spread(row, metric) for metric in METRICS[:2]),
        "" if row.interval is None else ends_text(row.interval),
        *(_spread(row, metric) for metric in METRICS[2:]),
        _published(row),
        decimals(row.valid),
        f"{against.difference:+.4f} ({against.base})" if against else "",
        signed_ends_text(against.interval) if against else "",
        p_text(against.t_p_value) if against else "",
        p_text(against.wilcoxon_p_value) if against else "",
        f"{row.epochs:.0f}",
        f"{row.seconds_per_epoch:.2f}",
        f"{row.peak_memory_bytes / 1e6:.0f}",
    ]


def to_markdown(board: Leaderboard) -> str:
    """The leaderboard as a Markdown page.

    Example:
        >>> print(to_markdown(Leaderboard("toy", [], ["A note."])).splitlines()[0])
        # Leaderboard: toy
    """
    table = [COLUMNS, ["---"] * len(COLUMNS), *(cells(row) for row in board.rows)]
    lines = ["| " + " | ".join(texts) + " |" for texts in table]
    notes = [f"- {note}" for note in board.notes]
    return "\n".join([f"# Leaderboard: {board.data}", "", *lines, "", *notes, ""])


def decimals(value: float) -> str:
    """Four decimals without the leading zero.

    Example:
        >>> decimals(0.12345)
        '.1235'
    """
    return f"{value:.4f}".removeprefix("0")


def ends_text(interval: Interval) -> str:
    """Both ends of an interval.

    Example:
        >>> ends_text(Interval(0.08, 0.0912))
        '.0800 to .0912'
    """
    return f"{decimals(interval.low)} to {decimals(interval.high)}"


def signed_ends_text(interval: Interval) -> str:
    """Both ends of an interval of differences.

    Example:
        >>> signed_ends_text(Interval(-0.0012, 0.0034))
        '-0.0012 to +0.0034'
    """
    return f"{interval.low:+.4f} to {interval.high:+.4f}"


def _spread(row: Row, metric: str) -> str:
    mean = decimals(row.mean[metric])
    return mean if row.sd is None else f"{mean} ± {decimals(row.sd[metric])}"


def _published(row: Row) -> str:
    if row.published is None:
        return ""
    target = row.published[TESTED]
    return f"{decimals(target)} ({row.mean[TESTED] / target:.0%})"


def p_text(p: float) -> str:
    """A p-value, exact only where that says something.

    Example:
        >>> p_text(0.0004), p_text(0.0521)
        ('< .001', '.052')
    """
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")
