from __future__ import annotations

import pytest

from mmgraph.analysis.report.plots import DASHES, panels
from mmgraph.analysis.reproduce.refreshes import (
    TracedRun,
    colours_of,
    draw_measure,
    refreshes_figure,
    refreshes_table,
    traced_run,
)
from mmgraph.analysis.reproduce.trace import Trace, Undo


def trace(rank, affinity, sigma=(1.0,)):
    count = len(rank)
    return Trace(
        list(range(1, count + 1)),
        rank,
        [0.5] * count,
        [2.0] * count,
        affinity,
        [list(sigma)] * count,
    )


def runs():
    full = {"v": trace([2, 2], [None, 0.5]), "t": trace([2, 2], [None, 0.7])}
    dynamic = {"v": trace([3, 1], [None, 0.9]), "t": trace([3, 1], [None, 0.1])}
    return [
        TracedRun("full", 1, 0.9, full, Undo([1, 2], [[0.1], [0.2]])),
        TracedRun("full", 2, 0.9, full, Undo([1], [[0.4]])),
        TracedRun("dynamic", 1, 0.9, dynamic, Undo()),
    ]


def test_modalities_of_equal_lines_share_one_and_others_have_their_dash():
    _, (left, right) = panels(2)
    colours = colours_of(runs())
    draw_measure(left, runs(), "rank", colours)
    assert [line.get_ydata().tolist() for line in left.lines] == [
        [2, 2],
        [2, 2],
        [3, 1],
    ]
    assert [text for _, text in zip(*legend(left), strict=True)] == ["full", "dynamic"]
    draw_measure(right, runs(), "affinity", colours)
    assert [line.get_ydata().tolist() for line in right.lines][-2:] == [[0.9], [0.1]]
    assert [line.get_linestyle() for line in right.lines] == [*DASHES[:2]] * 3
    names = ["full, v", "full, t", "dynamic, v", "dynamic, t"]
    assert legend(right)[1] == names
    shown = [line.get_color() for line in right.lines]
    assert shown == [colours["full"]] * 4 + [colours["dynamic"]] * 2


def legend(ax):
    return ax.get_legend_handles_labels()


def test_the_figure_carries_every_refresh_and_says_how_it_ends():
    figure = refreshes_figure(runs(), "toy")
    assert len(figure.data.rows) == 12
    assert figure.data.rows[-1] == ["dynamic", 1, "t", 2, 1, 0.1]
    assert "dynamic: rank 3 first, 1 last, last affinity 0.90" in figure.alt
    assert "a line per seed" in figure.caption
    assert "seed" not in refreshes_figure(runs()[:1], "toy").caption


def test_the_table_takes_means_over_seeds_modalities_and_refreshes():
    full, dynamic = refreshes_table(runs(), "toy").rows
    assert full[:3] == ["full", 2, 2]
    assert full[3:] == pytest.approx([0.6, 0.3], rel=1e-12)  # last ratio of each seed
    assert dynamic[:3] == ["dynamic", 1, 3]
    assert dynamic[3:] == [0.5, None]


def test_without_a_projection_no_rank_is_in_use():
    bare = TracedRun("bare", 1, 0.0, runs()[0].traces, Undo())
    (row,) = refreshes_table([bare], "toy").rows
    assert row == ["bare", None, None, 0.6, None]


@pytest.mark.filterwarnings("error")
def test_a_figure_without_a_rank_in_use_still_shows_the_drift():
    bare = TracedRun("bare", 1, 0.0, runs()[0].traces, Undo())
    figure = refreshes_figure([bare], "toy")
    assert [row[4] for row in figure.data.rows] == [0] * 4
    assert figure.alt.endswith("bare: last affinity 0.50.")


def test_strength_and_sides_are_those_of_the_line():
    with_, without = ({"v": trace([1], [None], [s])} for s in (4.0, 1.0))
    line = {"seed": 7, "options": {"strength": 0.5, "sides": "both"}}
    run = traced_run("full", line, with_, without)
    assert (run.seed, run.strength, run.undo) == (7, 0.5, Undo([1], [[1.0]]))
    line["options"]["sides"] = "v"
    assert traced_run("full", line, with_, without).undo.ratio == [[2.0]]
