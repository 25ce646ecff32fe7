from __future__ import annotations

import sys
from io import BytesIO

import numpy as np
import pytest

from mmgraph.analysis.redundancy.figures import (
    cost_figure,
    neighbour_figure,
    pair_figures,
    similarity_figure,
    spectrum_figure,
)
from mmgraph.analysis.redundancy.pair_diagnosis import diagnose_pair
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


def lines(drawing):
    (axes,) = drawing.figure.axes
    return {line.get_label(): line.get_ydata() for line in axes.lines}


def test_the_spectrum_is_drawn_before_and_after(pair):
    drawn = lines(spectrum_figure(pair))
    before = np.array(pair.singular_values)
    np.testing.assert_allclose(drawn["as it is"], before)
    after = before.copy()
    after[:3] *= (1 - pair.suggested_strength) ** 2  # Theorem 5 of CLEAR
    expected = np.sort(after)[::-1]
    np.testing.assert_allclose(drawn["after the projection"], expected)
    assert drawn["chance"][0] == pair.chance_level


def test_the_overlap_is_drawn_against_chance(pair):
    drawing = neighbour_figure(pair)
    drawn = lines(drawing)
    found = pair.neighbour_overlap.values()
    np.testing.assert_array_equal(drawn["measured"], [o.value for o in found])
    np.testing.assert_array_equal(drawn["random lists"], [o.expected for o in found])
    value = pair.neighbour_overlap["10"].value
    assert f"visual and textual share {100 * value:.1f} % of their 10" in drawing.alt


def test_the_similarities_are_drawn_as_they_were_counted(pair):
    (axes,) = similarity_figure(pair).figure.axes
    for patch, name in zip(axes.patches, ("visual", "textual"), strict=True):
        assert patch.get_label() == name
        found = patch.get_data()
        np.testing.assert_array_equal(found.values, pair.similarities.density[name])
        np.testing.assert_array_equal(found.edges, pair.similarities.edges)


def test_the_cost_is_drawn_at_three_ranks(pair):
    drawing = cost_figure(pair)
    (axes,) = drawing.figure.axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "3", "6"]
    removed = [cost.energy_removed["textual"] for cost in pair.costs]
    np.testing.assert_array_equal(lines(drawing)["textual: variance removed"], removed)
    share = f"{100 * removed[1]:.0f} % of the variance of textual"
    assert share in drawing.alt


def test_every_figure_can_be_saved_and_has_words(pair):
    drawings = pair_figures(pair)
    assert len(drawings) == 4
    for drawing in drawings:
        buffer = BytesIO()
        drawing.figure.savefig(buffer, format="svg")
        assert b"</svg>" in buffer.getvalue()
        assert drawing.caption.endswith(".")
        assert drawing.alt.endswith(".")
        (axes,) = drawing.figure.axes
        assert axes.get_xlabel()
        assert axes.get_ylabel()


def test_without_a_rank_there_is_no_cost_to_draw():
    pytest.importorskip("matplotlib", reason="figures need the extra 'plots'")
    rng = np.random.default_rng(0)
    a, b = (FeatureRows(rng.random((60, d), np.float32)) for d in (3, 2))
    unrelated = diagnose_pair(("a", "b"), a, b, np.ones(60, bool))
    assert unrelated.suggested_rank == 0
    assert len(pair_figures(unrelated)) == 3
    assert "after the projection" not in lines(spectrum_figure(unrelated))


def test_a_missing_matplotlib_is_told_in_one_line(pair, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    expected = r"^figures need matplotlib - pip install 'mmgraph\[plots\]'$"
    with pytest.raises(UserError, match=expected):
        pair_figures(pair)
