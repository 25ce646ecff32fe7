from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from mmgraph.analysis.redundancy.pair_measures import (
    coordinate_distance,
    damp_head,
    direction_correlations,
    head_energy,
    imbalance_ratio,
    similarity_densities,
    variance_ratios,
)
from mmgraph.functional import suppress
from mmgraph.knn.search.running_top_k import RunningTopK


@pytest.fixture
def tables():
    """Two centred tables with something in common."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(80, 2))
    a, b = (z @ rng.normal(size=(2, d)) + rng.normal(size=(80, d)) for d in (5, 4))
    return a - a.mean(0), b - b.mean(0)


@pytest.fixture
def parts(tables):
    """Covariances, and the singular value decomposition of the crossed one."""
    a, b = tables
    cov_a, cov_b, cov_ab = (
        torch.from_numpy(x.T @ y / 80) for x, y in ((a, a), (b, b), (a, b))
    )
    u, sigma, w_t = torch.linalg.svd(cov_ab, full_matrices=False)
    return cov_a, cov_b, u, sigma, w_t.T


def test_variance_shares_are_those_of_the_coordinates(tables, parts):
    (a, _), (cov_a, _, u, _, _) = tables, parts
    expected = [(a @ u[:, n].numpy()).var() / a.var(0).sum() for n in range(4)]
    np.testing.assert_allclose(variance_ratios(cov_a, u), expected, rtol=1e-12)
    whole = torch.linalg.qr(torch.from_numpy(a[:5])).Q
    assert float(variance_ratios(cov_a, whole).sum()) == pytest.approx(1)


def test_a_constant_table_has_no_variance_to_share():
    ratios = variance_ratios(torch.zeros(3, 3), torch.eye(3)[:, :2])
    assert ratios.tolist() == [0, 0]


def test_correlations_are_those_of_the_coordinates(tables, parts):
    (a, b), (_, _, u, _, w) = tables, parts
    expected = [
        np.corrcoef(a @ u[:, n].numpy(), b @ w[:, n].numpy())[0, 1] for n in range(4)
    ]
    np.testing.assert_allclose(direction_correlations(*parts), expected, rtol=1e-10)


def test_a_direction_without_variance_does_not_correlate():
    eye, nothing = torch.eye(1), torch.zeros(1, 1)
    assert direction_correlations(nothing, eye, eye, torch.zeros(1), eye) == [0]


def test_rounding_takes_no_correlation_above_one():
    eye, above = torch.eye(1), torch.tensor([1 + 1e-6])
    assert direction_correlations(eye, eye, eye, above, eye) == [1]


def test_the_head_holds_its_squares():
    sigma = np.linspace(3, 0.1, 30)
    held = head_energy(torch.from_numpy(sigma), rank=7)
    assert list(held) == ["1", "2", "4", "7", "8", "16", "20"]
    for k, fraction in held.items():
        expected = sum(s**2 for s in sigma[: int(k)]) / sum(s**2 for s in sigma)
        assert fraction == pytest.approx(expected, rel=1e-12)


def test_heads_beyond_the_spectrum_and_an_empty_one_are_left_out():
    assert list(head_energy(torch.ones(3), rank=0)) == ["1", "2"]
    assert head_energy(torch.zeros(2), rank=9) == {"1": 0, "2": 0}


@pytest.mark.parametrize("rank", [0, 2, 4])
def test_damped_coordinates_are_those_of_the_projected_table(tables, parts, rank):
    a, u = torch.from_numpy(tables[0]), parts[2]
    found = damp_head(a @ u, rank, 0.7)
    expected = suppress(a, u[:, :rank], 0.7) @ u
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_along_one_direction_the_distance_is_that_of_scipy(tables):
    x, y = (table[:, :1] for table in tables)
    raw, unit = coordinate_distance(torch.from_numpy(x), torch.from_numpy(y), seed=0)
    assert raw == pytest.approx(wasserstein_distance(x[:, 0], y[:, 0]), rel=1e-12)
    signs = wasserstein_distance(np.sign(x[:, 0]), np.sign(y[:, 0]))
    assert unit == pytest.approx(signs, rel=1e-12)


def test_only_the_distance_at_own_scale_grows_with_the_rows(tables):
    x, y = (torch.from_numpy(table[:, :3]) for table in tables)
    raw, unit = coordinate_distance(x, y, seed=1)
    assert coordinate_distance(3 * x, 3 * y, seed=1) == pytest.approx((3 * raw, unit))
    longer = torch.linspace(1, 5, 80, dtype=torch.float64)[:, None] * x
    found = coordinate_distance(longer, y, seed=1)
    assert found[1] == pytest.approx(unit, rel=1e-12)
    assert found[0] != pytest.approx(raw)
    assert coordinate_distance(x, y, seed=2) != (raw, unit)


def lists_of(similarity):
    lists = RunningTopK(len(similarity), similarity.shape[1])
    lists.add_tile(torch.from_numpy(similarity), 0)
    return lists


def test_similarities_are_counted_over_the_first_ten():
    rng = np.random.default_rng(1)
    tables = [rng.uniform(low, 0.9, size=(7, 15)) for low in (0.1, 0.4)]
    found = similarity_densities(("a", "b"), *map(lists_of, tables))
    ten = [np.sort(t.astype(np.float32))[:, :-11:-1].flatten() for t in tables]
    low, high = min(map(np.min, ten)), max(map(np.max, ten))
    np.testing.assert_allclose(found.edges, np.linspace(low, high, 51), rtol=1e-6)
    assert list(found.density) == ["a", "b"]
    for values, density in zip(ten, found.density.values(), strict=True):
        width = (high - low) / 50
        inside = [
            sum(left <= v < right for v in values) / 70 / width
            for left, right in zip(found.edges, found.edges[1:], strict=False)
        ]
        inside[-1] += sum(v == values.max() == high for v in values) / 70 / width
        np.testing.assert_allclose(density, inside, rtol=1e-5)
    place = [((v - low) / (high - low) * 100).astype(int).clip(max=99) for v in ten]
    common = sum(min((place[0] == n).sum(), (place[1] == n).sum()) for n in range(100))
    assert found.overlap == pytest.approx(common / 70, abs=1e-12)


def test_similarities_apart_have_no_area_in_common():
    apart = [np.full((2, 3), 0.2), np.full((2, 3), 0.8)]
    assert similarity_densities(("a", "b"), *map(lists_of, apart)).overlap == 0


def test_imbalance_is_equation_22_of_tables_at_unit_variance(tables, parts):
    (a, b), (cov_a, cov_b, u, _, w) = tables, parts
    ratios = {"a": variance_ratios(cov_a, u), "b": variance_ratios(cov_b, w)}
    shared, own = 0.0, 0.0
    for table, basis in ((a, u.numpy()[:, :2]), (b, w.numpy()[:, :2])):
        unit = table / np.sqrt(table.var(0).sum())
        inside = unit @ basis @ basis.T
        shared += np.square(inside).sum(1).mean() / 2  # the mean of the two
        own += np.square(unit - inside).sum(1).mean()
    assert imbalance_ratio(ratios, 2) == pytest.approx(4 * shared / own, rel=1e-12)


def test_imbalance_by_hand_without_order_and_without_an_outside():
    a, b = torch.tensor([0.5, 0.25]), torch.tensor([0.25, 0.5])
    # Inside .5 + .25, outside .5 + .75; the ratio is twice that of the sums.
    assert imbalance_ratio({"a": a, "b": b}, 1) == pytest.approx(2 * 0.75 / 1.25)
    assert imbalance_ratio({"b": b, "a": a}, 1) == imbalance_ratio({"a": a, "b": b}, 1)
    assert imbalance_ratio({"a": a, "b": b}, 0) == 0
    whole = torch.ones(1)
    assert imbalance_ratio({"a": whole, "b": whole}, 1) is None
