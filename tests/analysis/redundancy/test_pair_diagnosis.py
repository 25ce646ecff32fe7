from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.analysis.redundancy.pair_diagnosis import diagnose_pair
from mmgraph.data import catalogue_features, plant_catalogue
from mmgraph.data.feature_rows import FeatureRows
from mmgraph.functional import neighbour_overlap, sliced_wasserstein
from mmgraph.knn import knn_graph

RANK = 4


@pytest.fixture(scope="module")
def planted():
    """Two modalities without missing rows, and their diagnosis over every item."""
    data, truth = plant_catalogue(num_users=5, num_items=300, missing=0.0)
    rows = catalogue_features(data)
    a, b = rows.values()
    pair = diagnose_pair(("visual", "textual"), a, b, np.ones(300, bool))
    return a.values.astype(np.float64), b.values.astype(np.float64), pair, truth


@pytest.fixture(scope="module")
def svd(planted):
    a, b, _, _ = planted
    u, sigma, wt = np.linalg.svd((a - a.mean(0)).T @ (b - b.mean(0)) / 300)
    return u, sigma, wt.T


def test_spectrum_and_suggestion(planted, svd):
    _, _, pair, _ = planted
    _, sigma, _ = svd
    np.testing.assert_allclose(pair.singular_values, sigma, rtol=0, atol=1e-10)
    energy = sigma**2 / (sigma**2).sum()
    entropy = -(energy * np.log(energy)).sum()
    assert pair.effective_rank == pytest.approx(np.exp(entropy), rel=1e-9)
    assert pair.head_energy["2"] == pytest.approx(energy[:2].sum(), rel=1e-10)
    assert (pair.suggested_rank, pair.rank_is_clear) == (RANK, True)
    gap = (sigma[3] - sigma[4]) / sigma[0]
    assert pair.spectral_gap == pytest.approx(gap, rel=1e-9)
    level = max(sigma[4], pair.chance_level) / sigma[0]
    assert pair.suggested_strength == pytest.approx(1 - np.sqrt(level), rel=1e-9)


def test_correlations_and_variance_along_the_directions(planted, svd):
    a, b, pair, _ = planted
    u, _, w = svd
    x, y = a @ u[:, :RANK], b @ w[:, :RANK]
    expected = [np.corrcoef(x[:, n], y[:, n])[0, 1] for n in range(RANK)]
    np.testing.assert_allclose(pair.correlations[:RANK], expected, rtol=1e-9)
    for name, table, along in (("visual", a, x), ("textual", b, y)):
        fraction = along.var(0) / table.var(0).sum()
        found = pair.variance_shares[name][:RANK]
        np.testing.assert_allclose(found, fraction, rtol=1e-9)


def projected(table, basis, rank, strength):
    return table - strength * (table @ basis[:, :rank]) @ basis[:, :rank].T


def test_costs_are_those_of_the_projected_features(planted, svd):
    a, b, pair, _ = planted
    u, sigma, w = svd
    assert [cost.rank for cost in pair.costs] == [2, 4, 8]
    for cost in pair.costs:
        after = []
        for name, table, basis in (("visual", a, u), ("textual", b, w)):
            new = projected(table, basis, cost.rank, cost.strength)
            after.append(new - new.mean(0))
            removed = 1 - new.var(0).sum() / table.var(0).sum()
            assert cost.energy_removed[name] == pytest.approx(removed, rel=1e-9)
            graphs = [knn_graph(torch.from_numpy(t), 10)[0] for t in (table, new)]
            changed = 1 - neighbour_overlap(*graphs, 300)
            assert cost.neighbours_changed[name] == pytest.approx(changed, abs=1e-12)
        rest = np.square(after[0].T @ after[1] / 300).sum() / np.square(sigma).sum()
        assert cost.shared_energy_removed == pytest.approx(1 - rest, rel=1e-9)


def test_overlap_is_that_of_the_graphs(planted):
    a, b, pair, _ = planted
    assert list(pair.neighbour_overlap) == ["5", "10", "20", "50"]
    for k, overlap in pair.neighbour_overlap.items():
        graphs = [knn_graph(torch.from_numpy(t), int(k))[0] for t in (a, b)]
        assert overlap.value == pytest.approx(neighbour_overlap(*graphs, 300))
        assert overlap.expected == pytest.approx(int(k) / 299)


def test_similarities_are_those_of_the_lists(planted):
    a, _, pair, _ = planted
    _, similarity = knn_graph(torch.from_numpy(a), 10)
    edges = np.array(pair.similarities.edges)
    density, _ = np.histogram(similarity.numpy(), edges, density=True)
    np.testing.assert_allclose(pair.similarities.density["visual"], density, rtol=1e-6)
    area = np.minimum(*map(np.array, pair.similarities.density.values())).sum()
    # The coefficient is taken over 100 bins, the figure has 50.
    assert pair.similarities.overlap == pytest.approx(area * np.diff(edges)[0], abs=0.1)


def test_distance_before_and_after(planted, svd):
    a, b, pair, _ = planted
    u, _, w = svd
    n = min(a.shape[1], b.shape[1])
    signs = np.sign(u[np.abs(u).argmax(0), np.arange(len(u))])[:n]
    x = torch.from_numpy((a - a.mean(0)) @ u[:, :n] * signs)
    y = torch.from_numpy((b - b.mean(0)) @ w[:, :n] * signs)
    for raw, unit, damp in (
        (pair.swd_raw, pair.swd, 0.0),
        (pair.swd_raw_after, pair.swd_after, pair.suggested_strength),
    ):
        scale = torch.ones(n, dtype=torch.float64)
        scale[:RANK] = 1 - damp
        tables = [x * scale, y * scale]
        assert raw == pytest.approx(sliced_wasserstein(*tables), rel=1e-6)
        tables = [t / t.norm(dim=1, keepdim=True) for t in tables]
        assert unit == pytest.approx(sliced_wasserstein(*tables), rel=1e-6)


def test_imbalance_is_equation_22_at_unit_variance(planted, svd):
    a, b, pair, _ = planted
    u, _, w = svd
    inside, outside = 0.0, 0.0
    for table, basis in ((a, u), (b, w)):
        x = (table - table.mean(0)) / np.sqrt(table.var(0).sum())
        part = x @ basis[:, :RANK] @ basis[:, :RANK].T
        inside += np.square(part).sum(1).mean() / 2
        outside += np.square(x - part).sum(1).mean()
    assert pair.imbalance_ratio == pytest.approx(4 * inside / outside, rel=1e-9)
    assert pair.imbalance_bound == 2


def test_the_planted_subspace_is_stable_and_loud(planted):
    _, _, pair, _ = planted
    for stability in pair.stability.values():
        assert stability.affinity > 0.9 > stability.chance_affinity
    for note, name in zip(pair.notes, pair.modalities, strict=True):
        # The planted factors are the loudest: what is shared is most of the variance.
        fraction = pair.costs[1].energy_removed[name]
        assert fraction > 0.5
        assert f"takes {100 * fraction:.0f} % of the variance of {name}" in note


def test_the_order_of_the_modalities_only_turns_the_pair(planted):
    a, b, pair, _ = planted
    a, b = (FeatureRows(x.astype(np.float32)) for x in (a, b))
    turned = diagnose_pair(("textual", "visual"), b, a, np.ones(300, bool))
    same = ("suggested_rank", "cka", "cka_by_chance", "imbalance_ratio", "spectral_gap")
    for key in same:
        assert getattr(turned, key) == pytest.approx(getattr(pair, key), rel=1e-9)
    for k, overlap in pair.neighbour_overlap.items():
        assert turned.neighbour_overlap[k] == overlap


def test_unrelated_modalities_share_nothing():
    rng = np.random.default_rng(0)
    a, b = (FeatureRows(rng.random((200, d), np.float32)) for d in (6, 4))
    pair = diagnose_pair(("a", "b"), a, b, np.ones(200, bool))
    assert (pair.suggested_rank, pair.suggested_strength) == (0, 0)
    assert pair.costs == []
    assert pair.stability is None
    assert pair.imbalance_ratio == 0
    assert pair.swd_after == pair.swd
    assert pair.reason.startswith("No shared direction is above what randomly matched")
    assert (
        "Neighbours agree no more than by chance, at any number of neighbours."
        in pair.notes
    )


def test_lists_fit_a_small_catalogue():
    rng = np.random.default_rng(0)
    a, b = (FeatureRows(rng.random((4, d), np.float32)) for d in (3, 2))
    pair = diagnose_pair(("a", "b"), a, b, np.ones(4, bool))
    assert list(pair.neighbour_overlap) == ["3"]
    assert pair.neighbour_overlap["3"].value == 1


def test_constant_features_share_nothing():
    a = FeatureRows(np.ones((20, 3), np.float32))
    b = FeatureRows(np.random.default_rng(0).random((20, 2), np.float32))
    pair = diagnose_pair(("a", "b"), a, b, np.ones(20, bool))
    assert pair.suggested_rank == 0
    assert pair.cka == 0
    assert pair.correlations == [0, 0]
