from __future__ import annotations

import math

import pytest
import scipy.stats
import torch

from mmgraph.functional import (
    neighbour_overlap,
    overlap_coefficient,
    sliced_wasserstein,
)


def test_identical_sets_have_no_distance_in_any_order():
    x = torch.randn(40, 5, dtype=torch.float64)
    assert sliced_wasserstein(x, x[torch.randperm(40)]) == 0


@pytest.mark.parametrize("rows", [(30, 30), (30, 17), (7, 60), (1, 5)])
def test_one_dimension_is_the_wasserstein_distance_of_scipy(rows):
    x, y = (torch.randn(n, 1, dtype=torch.float64) for n in rows)
    expected = scipy.stats.wasserstein_distance(x[:, 0].numpy(), y[:, 0].numpy())
    assert sliced_wasserstein(x, y, 3) == pytest.approx(expected, rel=1e-10)


def test_unequal_sizes_equal_the_repeated_sets():
    x = torch.randn(6, 4, dtype=torch.float64)
    y = torch.randn(4, 4, dtype=torch.float64)
    expected = sliced_wasserstein(x.repeat(2, 1), y.repeat(3, 1))
    assert sliced_wasserstein(x, y) == pytest.approx(expected, rel=1e-10)


def test_shift_has_the_expected_distance():
    # E |<m, u>| = |m| Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2)).
    x = torch.randn(30, 64, dtype=torch.float64)
    shift = torch.randn(64, dtype=torch.float64)
    factor = math.exp(math.lgamma(32) - math.lgamma(32.5)) / math.sqrt(math.pi)
    assert factor == pytest.approx(0.1001, abs=5e-5)
    expected = shift.norm().item() * factor
    # 20,000 directions: standard error 0.53 %.
    actual = sliced_wasserstein(x, x + shift, 20_000)
    assert actual == pytest.approx(expected, rel=0.02)


def test_scales_with_the_features():
    x, y = torch.randn(2, 20, 6, dtype=torch.float64)
    one = sliced_wasserstein(x, y)
    assert sliced_wasserstein(3 * x, 3 * y) == pytest.approx(3 * one, rel=1e-10)


def test_seed_decides_the_directions():
    x, y = torch.randn(2, 20, 6)
    assert sliced_wasserstein(x, y) == sliced_wasserstein(x, y)
    assert sliced_wasserstein(x, y) != sliced_wasserstein(x, y, seed=1)


def random_graph(nodes, k):
    weight = torch.rand(nodes, nodes)
    weight.fill_diagonal_(-1)
    neighbour = weight.topk(k).indices.flatten()
    return torch.stack([neighbour, torch.arange(nodes).repeat_interleave(k)])


def test_neighbour_overlap_is_that_of_sets():
    a, b = random_graph(30, 4), random_graph(30, 4)
    expected = []
    for node in range(30):
        own = [set(e[0, e[1] == node].tolist()) for e in (a, b)]
        expected.append(len(own[0] & own[1]) / 4)
    shuffled = b[:, torch.randperm(b.size(1))]
    actual = neighbour_overlap(a, shuffled, 30, per_node=True)
    assert actual.tolist() == pytest.approx(expected, rel=1e-12)
    mean = neighbour_overlap(a, shuffled, 30)
    assert mean == pytest.approx(sum(expected) / 30, rel=1e-12)
    assert neighbour_overlap(a, a, 30) == 1


def test_neighbour_overlap_of_ragged_lists():
    a = torch.tensor([[1, 2, 3, 0], [0, 0, 0, 1]])
    b = torch.tensor([[1, 1, 0], [0, 2, 3]])
    share = neighbour_overlap(a, b, 5, per_node=True)
    assert share[:4].tolist() == pytest.approx([1 / 3, 0, 0, 0])
    assert share[4].isnan()  # no neighbours at all
    assert neighbour_overlap(a, b, 5) == pytest.approx(1 / 12)


def test_random_graphs_overlap_by_chance():
    # Hypergeometric: mean K/(N-1), variance of the count K p (1-p) (N-1-K)/(N-2).
    nodes, k = 400, 10
    p = k / (nodes - 1)
    variance = k * p * (1 - p) * (nodes - 1 - k) / (nodes - 2)
    error = math.sqrt(variance / nodes) / k
    actual = neighbour_overlap(random_graph(nodes, k), random_graph(nodes, k), nodes)
    assert abs(actual - p) < 4 * error


def test_overlap_of_equal_and_separate_samples():
    x = torch.randn(500)
    assert overlap_coefficient(x, x) == pytest.approx(1, rel=1e-12)
    assert overlap_coefficient(x, x + 100) == 0
    assert overlap_coefficient(torch.ones(3), torch.ones(5)) == 1


def test_overlap_is_that_of_numpy_histograms():
    import numpy as np

    x, y = torch.randn(300, dtype=torch.float64), torch.randn(200).double() + 1
    low, high = torch.cat([x, y]).aminmax()
    edges = np.linspace(low.item(), high.item(), 31)
    share = [np.histogram(t.numpy(), edges)[0] / t.numel() for t in (x, y)]
    expected = np.minimum(*share).sum()
    assert overlap_coefficient(x, y, bins=30) == pytest.approx(expected, rel=1e-12)


def test_overlap_of_shifted_gaussians_approaches_the_closed_form():
    grid = torch.linspace(0.0005, 0.9995, 20_000, dtype=torch.float64)
    x = torch.special.ndtri(grid)  # quantiles: no sampling noise
    expected = 2 * scipy.stats.norm.cdf(-0.5)
    assert overlap_coefficient(x, x + 1, bins=200) == pytest.approx(expected, abs=5e-3)


def test_errors_name_the_value():
    x = torch.zeros(3, 2)
    with pytest.raises(ValueError, match=r"\(got \[3, 2\] and \[3, 1\]\)"):
        sliced_wasserstein(x, x[:, :1])
    with pytest.raises(ValueError, match=r"\(got \[0, 2\] and \[3, 2\]\)"):
        sliced_wasserstein(x[:0], x)
    with pytest.raises(ValueError, match="0 bins"):
        overlap_coefficient(x[0], x[0], bins=0)


def test_runs_on_the_device(device):
    x, y = torch.randn(20, 6).double(), torch.randn(30, 6).double()
    expected = sliced_wasserstein(x, y)
    actual = sliced_wasserstein(x.to(device), y.to(device))
    assert actual == pytest.approx(expected, rel=1e-10)
    a, b = random_graph(30, 4), random_graph(30, 4)
    same = neighbour_overlap(a.to(device), b.to(device), 30)
    assert same == neighbour_overlap(a, b, 30)
