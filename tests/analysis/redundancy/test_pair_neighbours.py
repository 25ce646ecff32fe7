from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from mmgraph.analysis.redundancy.pair_neighbours import (
    nearest_neighbours,
    overlap_beside_chance,
    overlap_ratios,
)
from mmgraph.data.feature_rows import FeatureRows
from mmgraph.functional import chance_overlap, neighbour_overlap, suppress
from mmgraph.functional.block_sizes import FEATURE_ROWS
from mmgraph.knn import knn_graph


@pytest.fixture
def x():
    x = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32) + 0.3
    x[20:26] = x[4]  # ties
    return x


def centres(count=40, of=300):
    return np.sort(np.random.default_rng(1).permutation(of)[:count])


def test_neighbours_are_those_of_the_graph(x):
    edge_index, _ = knn_graph(torch.from_numpy(x), 9)
    (near,) = nearest_neighbours(FeatureRows(x), centres(), np.ones(300, bool), 9)
    assert torch.equal(near.neighbour, edge_index[0].view(300, 9)[centres()])


@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_neighbours_after_a_projection_are_those_of_the_projected_features(x, strength):
    basis = torch.linalg.qr(torch.randn(8, 4, dtype=torch.float64)).Q
    found = nearest_neighbours(
        FeatureRows(x),
        centres(),
        np.ones(300, bool),
        6,
        basis=basis,
        ranks=[1, 4],
        strength=strength,
    )
    for rank, near in zip((0, 1, 4), found, strict=True):
        projected = suppress(torch.from_numpy(x).double(), basis[:, :rank], strength)
        edge_index, similarity = knn_graph(projected, 6)
        assert torch.equal(near.neighbour, edge_index[0].view(300, 6)[centres()])
        torch.testing.assert_close(
            near.score, similarity.view(300, 6)[centres()], rtol=1e-6, atol=1e-7
        )


def test_only_the_items_in_use_are_neighbours(x):
    used = np.random.default_rng(2).random(300) < 0.5
    chosen = np.flatnonzero(used)[:30]
    (near,) = nearest_neighbours(FeatureRows(x), chosen, used, 5)
    edge_index, _ = knn_graph(torch.from_numpy(x[used]), 5)
    expected = np.flatnonzero(used)[edge_index[0].view(-1, 5)[:30].numpy()]
    np.testing.assert_array_equal(near.neighbour, expected)


def test_blocks_of_a_long_table_meet():
    x = np.random.default_rng(3).normal(size=(FEATURE_ROWS + 100, 4)).astype(np.float32)
    chosen = np.array([0, 5, FEATURE_ROWS - 1, FEATURE_ROWS, FEATURE_ROWS + 99])
    (near,) = nearest_neighbours(FeatureRows(x), chosen, np.ones(len(x), bool), 3)
    unit = x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1)[:, None]
    cosine = unit[chosen] @ unit.T
    cosine[np.arange(5), chosen] = -2
    np.testing.assert_array_equal(near.neighbour, np.argsort(-cosine, axis=1)[:, :3])


def test_a_row_of_which_nothing_is_left_is_no_neighbour():
    x = np.random.default_rng(4).normal(size=(30, 3)).astype(np.float32)
    x[7] = [5, 0, 0]
    basis = torch.eye(3, dtype=torch.float64)[:, :1]
    words = {"basis": basis, "ranks": [1], "strength": 1.0}
    _, after = nearest_neighbours(
        FeatureRows(x), np.array([0, 1, 2]), np.ones(30, bool), 28, **words
    )
    assert not (after.neighbour == 7).any()


def test_overlap_is_that_of_the_graphs(x):
    other = np.random.default_rng(5).normal(size=(300, 5)).astype(np.float32)
    other[:, :4] += 2 * x[:, :4]
    used = np.ones(300, bool)
    a, b = (
        nearest_neighbours(FeatureRows(t), np.arange(300), used, 10)[0]
        for t in (x, other)
    )
    graphs = [knn_graph(torch.from_numpy(t), 10)[0] for t in (x, other)]
    ratios = neighbour_overlap(*graphs, 300, per_node=True).numpy()
    np.testing.assert_allclose(overlap_ratios(a, b, 10), ratios, rtol=1e-12)

    overlap = overlap_beside_chance(a, b, 10, num_candidates=299)
    low, high = stats.ttest_1samp(ratios, 0).confidence_interval(0.95)
    assert overlap.value == pytest.approx(ratios.mean(), rel=1e-12)
    assert (overlap.low, overlap.high) == pytest.approx((low, high), rel=1e-10)
    chance = chance_overlap(10, 299, 300)
    assert (overlap.expected, overlap.expected_low, overlap.expected_high) == chance
    assert overlap.low > overlap.expected_high


def test_equal_neighbours_have_an_interval_without_length(x):
    (a,) = nearest_neighbours(FeatureRows(x), centres(), np.ones(300, bool), 5)
    overlap = overlap_beside_chance(a, a, 5, 299)
    assert (overlap.value, overlap.low, overlap.high) == (1, 1, 1)
