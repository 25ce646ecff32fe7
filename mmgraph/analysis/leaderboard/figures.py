"""Figures of a leaderboard: its means with their intervals, and its training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmgraph.analysis.leaderboard.table import TESTED, Leaderboard, Row
from mmgraph.analysis.report.page import Figure
from mmgraph.analysis.report.plots import (
    COLOURS,
    DASHES,
    panels,
    to_figure,
    whole_numbers,
)
from mmgraph.analysis.report.table import Cell, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Lines that can be told apart: each colour with each kind of dashes.
MOST_LINES = len(COLOURS) * len(DASHES)
_QUIET = "#666666"
_SMALL: dict[str, Any] = {"color": _QUIET, "fontsize": "small"}


def mean_figure(board: Leaderboard) -> Figure:
    """Recall@20 of every system with its interval, and the floors as lines.

    Args:
        board: The leaderboard.

    Raises:
        UserError: If matplotlib is not installed.

    Example:
        >>> row = Row("SEA", 1, {TESTED: 0.25}, None, 0.2, 3, 0.5, 1, None, {}, 0)
        >>> mean_figure(Leaderboard("toy", [row])).alt
        'Dot plot of 1 system: SEA is first with a recall@20 of 0.2500.'
    """
    rows = board.rows
    drawing, (axes,) = panels(1, width=9.6, height=1.2 + 0.3 * len(rows))
    draw_means(axes, rows)
    count = f"{len(rows)} system{'s' * (len(rows) != 1)}"
    return to_figure(
        drawing,
        "Test recall@20: mean over seeds, with its 95 % interval where the metrics of "
        "each user were kept. Hollow: floors, which are not trained; dashed: "
        "popularity and the best of the neighbours. A star: other than its base "
        "(p below 0.05).",
        f"Dot plot of {count}: {rows[0].label} is first with a recall@20 of "
        f"{rows[0].mean[TESTED]:.4f}.",
        _mean_table(rows),
    )


def draw_means(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw a dot per system, the first on top, and a line per floor to compare with."""
    floors = sorted(reference_floors(rows), key=lambda row: row.mean[TESTED])
    for side, floor in zip(("right", "left"), floors, strict=False):
        place = floor.mean[TESTED]
        axes.axvline(place, color=_QUIET, ls="--", lw=1, zorder=1)
        axes.text(
            place,
            1.01,
            f" {floor.label} ",
            transform=axes.get_xaxis_transform(),
            ha=side,
            **_SMALL,
        )
    for place, row in enumerate(rows):
        mean, colour = row.mean[TESTED], _QUIET if row.is_floor else COLOURS[0]
        if row.interval is not None:
            ends = [row.interval.low, row.interval.high]
            axes.plot(ends, [place, place], color=colour, lw=1.5)
        face = "white" if row.is_floor else colour
        axes.plot(mean, place, "o", color=colour, mfc=face, ms=6)
    axes.set_yticks(range(len(rows)), [_name(row) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("test recall@20")
    axes.grid(visible=False, axis="y")


def reference_floors(rows: Sequence[Row]) -> list[Row]:
    """Popularity and the best other floor, as far as the rows have them.

    Example:
        >>> reference_floors([])
        []
    """
    floors = [row for row in rows if row.is_floor]
    popular = [row for row in floors if row.label == "Popularity"]
    others = [row for row in floors if row.label != "Popularity"]
    return [*popular, *sorted(others, key=lambda row: -row.mean[TESTED])[:1]]


def training_figure(board: Leaderboard) -> Figure | None:
    """Recall@20 on validation by epoch, a line per run; None without a history.

    Args:
        board: The leaderboard.

    Raises:
        UserError: If matplotlib is not installed.

    Example:
        >>> training_figure(Leaderboard("toy", [])) is None
        True
    """
    trained = [row for row in board.rows if row.curves]
    if not trained:
        return None
    drawn = trained[:MOST_LINES]
    drawing, (axes,) = panels(1, width=9.6, height=max(4.2, 0.6 + 0.22 * len(drawn)))
    draw_training(axes, drawn, reference_floors(board.rows))
    more = len(trained) - len(drawn)
    best = max(drawn, key=lambda row: row.valid)
    return to_figure(
        drawing,
        "Recall@20 on validation by epoch, a line per seed; dashed in grey: the floors."
        + f" The {len(drawn)} best of {len(trained)} systems are drawn." * bool(more),
        f"Line chart over the epochs: {best.label} is best on validation with "
        f"{best.valid:.4f} at the chosen epochs.",
        _training_table(trained),
    )


def draw_training(axes: Axes, rows: Sequence[Row], floors: Sequence[Row]) -> None:
    """Draw the validation of every seed by epoch, in the colour of its system."""
    for floor in floors:
        axes.axhline(floor.valid, color=_QUIET, ls="--", lw=1)
        across = axes.get_yaxis_transform()
        axes.text(
            0.01, floor.valid, floor.label, transform=across, va="bottom", **_SMALL
        )
    for number, row in enumerate(rows):
        colour = COLOURS[number % len(COLOURS)]
        dashes = DASHES[number // len(COLOURS)]
        for seed, curve in enumerate(row.curves):
            # One point is no line.
            marker = "o" if len(curve) == 1 else ""
            axes.plot(
                [epoch for epoch, _ in curve],
                [value for _, value in curve],
                color=colour,
                ls=dashes,
                lw=1.2,
                marker=marker,
                label="_" * bool(seed) + row.label,
            )
    axes.set(xlabel="epoch", ylabel="validation recall@20")
    whole_numbers(axes.xaxis)
    axes.legend(
        loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize="small"
    )


def _name(row: Row) -> str:
    different = row.comparison is not None and row.comparison.p_value < 0.05
    return f"{row.label} *" if different else row.label


def _mean_table(rows: Sequence[Row]) -> Table:
    cells: list[list[Cell]] = []
    for row in rows:
        ends = (row.interval.low, row.interval.high) if row.interval else (None, None)
        cells.append([row.label, row.mean[TESTED], *ends])
    return Table(["System", "R@20", "95 % from", "95 % to"], cells)


def _training_table(rows: Sequence[Row]) -> Table:
    cells: list[list[Cell]] = [
        [row.label, run, epoch, value]
        for row in rows
        for run, curve in enumerate(row.curves, start=1)
        for epoch, value in curve
    ]
    return Table(["System", "run", "epoch", "validation R@20"], cells)
