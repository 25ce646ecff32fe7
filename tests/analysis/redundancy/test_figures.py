from __future__ import annotations

import sys

import numpy as np
import pytest

from mmgraph.analysis.redundancy.figures import (
    cost_figure,
    draw_costs,
    draw_overlaps,
    draw_probe,
    draw_similarities,
    draw_spectrum,
    neighbour_figure,
    pair_figures,
    probe_figure,
)
from mmgraph.analysis.redundancy.pair_diagnosis import diagnose_pair
from mmgraph.analysis.redundancy.probe import Probe
from mmgraph.analysis.redundancy.probed_place import ProbedPlace, ProbePoint
from mmgraph.analysis.report.plots import panels
from mmgraph.data import catalogue_features, plant_catalogue
from mmgraph.data.feature_rows import FeatureRows
from mmgraph.errors import UserError


@pytest.fixture(scope="module")
def pair():
    pytest.importorskip("matplotlib", reason="figures need the extra 'plots'")
    widths = {"visual": 12, "textual": 9}
    data, _ = plant_catalogue(
        num_users=5, num_items=200, shared_rank=3, missing=0, modalities=widths
    )
    a, b = catalogue_features(data).values()
    return diagnose_pair(("visual", "textual"), a, b, np.ones(200, bool))


def drawn(draw, pair):
    _, (axes,) = panels(1)
    draw(axes, pair)
    return axes


def lines(axes):
    return {line.get_label(): line.get_ydata() for line in axes.lines}


def test_the_spectrum_is_drawn_before_and_after(pair):
    shown = lines(drawn(draw_spectrum, pair))
    before = np.array(pair.singular_values)
    np.testing.assert_allclose(shown["as it is"], before)
    after = before.copy()
    after[:3] *= (1 - pair.suggested_strength) ** 2  # Theorem 5 of CLEAR
    np.testing.assert_allclose(pair.projected_singular_values, after)
    expected = np.sort(after)[::-1]
    np.testing.assert_allclose(shown["after the projection"], expected)
    assert shown["chance"][0] == pair.chance_level


def test_the_overlap_is_drawn_against_chance(pair):
    shown = lines(drawn(draw_overlaps, pair))
    overlaps = pair.neighbour_overlap.values()
    np.testing.assert_array_equal(shown["measured"], [o.value for o in overlaps])
    expected = [o.expected for o in overlaps]
    np.testing.assert_array_equal(shown["random neighbours"], expected)
    value = pair.neighbour_overlap["10"].value
    text = f"visual and textual have {100 * value:.1f} % of their 10 nearest items"
    assert text in neighbour_figure(pair).alt


def test_the_similarities_are_drawn_as_they_were_counted(pair):
    axes = drawn(draw_similarities, pair)
    for patch, name in zip(axes.patches, ("visual", "textual"), strict=True):
        assert patch.get_label() == name
        steps = patch.get_data()
        np.testing.assert_array_equal(steps.values, pair.similarities.density[name])
        np.testing.assert_array_equal(steps.edges, pair.similarities.edges)


def test_the_cost_is_drawn_at_three_ranks(pair):
    axes = drawn(draw_costs, pair)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "3", "6"]
    removed = [cost.energy_removed["textual"] for cost in pair.costs]
    np.testing.assert_array_equal(lines(axes)["textual: variance removed"], removed)
    text = f"{100 * removed[1]:.0f} % of the variance of textual"
    assert text in cost_figure(pair).alt


def test_every_figure_is_an_svg_with_words_and_data(pair):
    figures = pair_figures(pair)
    assert len(figures) == 4
    for figure in figures:
        assert b"</svg>" in figure.image
        assert figure.caption.endswith(".")
        assert figure.alt.endswith(".")
        assert figure.data.rows


@pytest.mark.parametrize(
    "draw", [draw_spectrum, draw_overlaps, draw_similarities, draw_costs]
)
def test_axes_are_labelled(pair, draw):
    axes = drawn(draw, pair)
    assert axes.get_xlabel()
    assert axes.get_ylabel()


def test_without_a_rank_there_is_no_cost_to_draw():
    pytest.importorskip("matplotlib", reason="figures need the extra 'plots'")
    rng = np.random.default_rng(0)
    a, b = (FeatureRows(rng.random((60, d), np.float32)) for d in (3, 2))
    unrelated = diagnose_pair(("a", "b"), a, b, np.ones(60, bool))
    assert unrelated.suggested_rank == 0
    assert len(pair_figures(unrelated)) == 3
    assert "after the projection" not in lines(drawn(draw_spectrum, unrelated))


def test_a_missing_matplotlib_is_told_in_one_line(pair, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    expected = r"^figures need matplotlib - pip install 'mmgraph\[plots\]'$"
    with pytest.raises(UserError, match=expected):
        pair_figures(pair)


def test_the_probe_is_drawn_with_its_numbers_and_words():
    pytest.importorskip("matplotlib", reason="figures need the extra 'plots'")
    points = [ProbePoint(0, 0.0, 0.2, 0.0, 0.01)]
    points += [ProbePoint(4, s, 0.2 + s / 10, s / 10, 0.01) for s in (0.5, 1.0)]
    places = [ProbedPlace("visual", None, points)]
    words = "Projecting pays for visual."
    probe = Probe("recall@20", "valid", 10, 99, places, words)
    _, (axes,) = panels(1)
    draw_probe(axes, probe, 1.0)
    (line,) = (line for line in axes.get_lines() if line.get_marker() == "o")
    assert list(line.get_xdata()) == [0, 4]
    assert list(line.get_ydata()) == [0.0, 0.1]
    figure = probe_figure(probe)
    assert figure.alt.endswith(words)
    assert [row[:4] for row in figure.data.rows] == [
        ("visual", 0, 0.0, 0.2),
        ("visual", 4, 0.5, 0.25),
        ("visual", 4, 1.0, pytest.approx(0.3)),
    ]
    assert figure.data.rows[0][4:] == (None, None)
