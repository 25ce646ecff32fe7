from __future__ import annotations

import pytest

from mmgraph.analysis.leaderboard.figures import (
    MOST_LINES,
    draw_means,
    draw_training,
    mean_figure,
    reference_floors,
    training_figure,
)
from mmgraph.analysis.leaderboard.table import Comparison, Leaderboard, Row
from mmgraph.analysis.report.plots import panels
from mmgraph.analysis.statistics.intervals import Interval


def row(label, recall, *, valid=0.2, floor=False, **changes):
    means = {"recall@20": recall}
    known = Row(label, 2, means, None, valid, 3, 0.5, 1, None, {}, 0, is_floor=floor)
    for name, value in changes.items():
        setattr(known, name, value)
    return known


def compared(p_value):
    return Comparison("VBPR", 0.1, Interval(0.0, 0.2), 9, 0.5, 0.5, p_value=p_value)


ROWS = [
    row("VBPR+SEA", 0.4, interval=Interval(0.35, 0.45), comparison=compared(0.04)),
    row("VBPR", 0.3, curves=[[(1, 0.1), (2, 0.2)], [(1, 0.15), (2, 0.25)]]),
    row("ItemKNN", 0.25, floor=True, interval=Interval(0.2, 0.3), valid=0.22),
    row("VBPR+CLEAR", 0.24, comparison=compared(0.05), curves=[[(1, 0.1)]], valid=0.3),
    row("ContentKNN", 0.2, floor=True),
    row("Popularity", 0.1, floor=True, valid=0.08),
]


def drawn():
    _, (axes,) = panels(1)
    draw_means(axes, ROWS)
    return axes


def test_every_system_has_a_dot_at_its_mean_the_first_on_top():
    axes = drawn()
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [tuple(dot.get_xydata()[0]) for dot in dots] == [
        (known.mean["recall@20"], place) for place, known in enumerate(ROWS)
    ]
    assert axes.get_ylim() == (len(ROWS) - 0.5, -0.5)
    hollow = [dot.get_markerfacecolor() == "white" for dot in dots]
    assert hollow == [known.is_floor for known in ROWS]


def test_intervals_are_drawn_where_they_are_known():
    spans = [line.get_xydata().tolist() for line in drawn().lines]
    assert [[0.35, 0], [0.45, 0]] in spans
    assert [[0.2, 2], [0.3, 2]] in spans


def test_popularity_and_the_best_neighbours_are_lines_with_names():
    axes = drawn()
    lines = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_xdata()[0] for line in lines] == [0.1, 0.25]
    texts = {text.get_text().strip(): text for text in axes.texts}
    assert list(texts) == ["Popularity", "ItemKNN"]
    # Names of lines that lie close do not meet.
    assert texts["Popularity"].get_ha() == "right"
    assert texts["ItemKNN"].get_ha() == "left"
    assert [known.label for known in reference_floors(ROWS)] == list(texts)


def test_a_star_marks_what_differs_from_its_base():
    labels = [tick.get_text() for tick in drawn().get_yticklabels()]
    assert labels == [
        *("VBPR+SEA *", "VBPR", "ItemKNN", "VBPR+CLEAR", "ContentKNN", "Popularity"),
    ]


def test_the_data_of_the_means_are_those_of_the_rows():
    figure = mean_figure(Leaderboard("toy", ROWS))
    assert figure.data.columns == ["System", "R@20", "95 % from", "95 % to"]
    assert figure.data.rows[0] == ["VBPR+SEA", 0.4, 0.35, 0.45]
    assert figure.data.rows[1] == ["VBPR", 0.3, None, None]
    assert figure.alt.startswith("Dot plot of 6 systems: VBPR+SEA is first")


def test_every_run_has_its_curve_and_every_system_one_colour_and_name():
    _, (axes,) = panels(1)
    trained = [known for known in ROWS if known.curves]
    draw_training(axes, trained, reference_floors(ROWS))
    curves = [line for line in axes.lines if line.get_linestyle() == "-"]
    assert [line.get_xydata().tolist() for line in curves] == [
        [[1, 0.1], [2, 0.2]],
        [[1, 0.15], [2, 0.25]],
        [[1, 0.1]],
    ]
    colours = [line.get_color() for line in curves]
    assert colours[0] == colours[1] != colours[2]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["VBPR", "VBPR+CLEAR"]
    floors = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in floors] == [0.08, 0.22]


def test_the_data_of_the_training_are_the_epochs_of_all_runs():
    figure = training_figure(Leaderboard("toy", ROWS))
    assert figure.data.rows == [
        *(["VBPR", 1, 1, 0.1], ["VBPR", 1, 2, 0.2]),
        *(["VBPR", 2, 1, 0.15], ["VBPR", 2, 2, 0.25]),
        ["VBPR+CLEAR", 1, 1, 0.1],
    ]
    assert "VBPR+CLEAR is best on validation with 0.3000" in figure.alt
    assert training_figure(Leaderboard("toy", ROWS[:1])) is None


@pytest.mark.parametrize(("more", "told"), [(0, False), (1, True)])
def test_of_more_systems_than_can_be_told_apart_the_best_are_drawn(more, told):
    count = MOST_LINES + more
    rows = [row(f"S{n}", 1 - n / 100, curves=[[(1, 0.5)]]) for n in range(count)]
    caption = training_figure(Leaderboard("toy", rows)).caption
    assert (f"The {MOST_LINES} best of {count} systems are drawn." in caption) == told
