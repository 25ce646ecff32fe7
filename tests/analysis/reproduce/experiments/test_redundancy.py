from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from scipy.stats import hypergeom

from mmgraph.analysis.reproduce.complete_items import complete_features, complete_items
from mmgraph.analysis.reproduce.experiments.redundancy import clear_figure_1


def nearest(x, k):
    """Sets of neighbours and their cosines, one item at a time."""
    x = F.normalize(x.double(), dim=1)
    sets, cosines = [], []
    for n in range(len(x)):
        similarity = x @ x[n]
        similarity[n] = -2
        best = similarity.argsort(descending=True)[:k]
        sets.append(set(best.tolist()))
        cosines += similarity[best].tolist()
    return sets, cosines


def test_overlap_is_that_of_a_slow_loop(make_context, tmp_path):
    context = make_context(tmp_path, grid={"k": [3, 12]})
    result = clear_figure_1(context)
    features = complete_features(context)
    num_items = len(features["visual"])
    assert result.numbers["items"] == num_items == len(complete_items(context))
    assert num_items < 90  # some features are missing
    (pair,) = result.numbers["pairs"]
    assert pair["modalities"] == ["visual", "textual"]
    for point in pair["neighbours"]:
        k = point["k"]
        a, b = (nearest(x, k)[0] for x in features.values())
        ratio = sum(len(p & q) for p, q in zip(a, b, strict=True)) / (num_items * k)
        assert point["overlap"] == pytest.approx(ratio, abs=1e-12)
        assert point["expected"] == pytest.approx(k / (num_items - 1))
        assert point["times"] == pytest.approx(ratio * (num_items - 1) / k)
    assert [row[1] for row in result.tables[0].rows] == [3, 12]


def test_densities_are_of_the_ten_nearest(make_context, tmp_path):
    context = make_context(tmp_path, grid={"k": [3]})
    (figure,) = clear_figure_1(context).figures
    rows = [row for row in figure.data.rows if row[0] == "textual"]
    centres, heights = zip(*((x, y) for _, x, y in rows), strict=True)
    width = centres[1] - centres[0]
    cosines = torch.tensor(nearest(complete_features(context)["textual"], 10)[1])
    assert sum(heights) * width == pytest.approx(1.0)
    for x, y in zip(centres, heights, strict=True):
        inside = ((cosines > x - width / 2) & (cosines < x + width / 2)).sum()
        assert abs(y * width * len(cosines) - inside) <= 1  # a value on an edge


def test_two_equal_modalities_share_all_their_neighbours(make_context, tmp_path):
    context = make_context(tmp_path, grid={"k": [5]})
    same = context.splits[0].clone()
    same["item"].x_textual = same["item"].x_visual.clone()
    same["item"].mask_textual = same["item"].mask_visual
    context.splits = (same, *context.splits[1:])
    (pair,) = clear_figure_1(context).numbers["pairs"]
    assert pair["neighbours"][0]["overlap"] == 1.0
    assert pair["density_overlap"] == 1.0


def test_chance_is_hypergeometric(make_context, tmp_path):
    context = make_context(tmp_path, grid={"k": [4]})
    result = clear_figure_1(context)
    (point,) = result.numbers["pairs"][0]["neighbours"]
    num_items = result.numbers["items"]
    count = hypergeom(num_items - 1, 4, 4)
    # The mean over the items is nearly normal.
    deviation = float(count.var()) ** 0.5 / 4 / num_items**0.5
    assert point["expected"] == pytest.approx(float(count.mean()) / 4)
    assert point["low"] == pytest.approx(point["expected"] - 1.96 * deviation, rel=0.1)
    assert point["high"] == pytest.approx(point["expected"] + 1.96 * deviation, rel=0.1)
