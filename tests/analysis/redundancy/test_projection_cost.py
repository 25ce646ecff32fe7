from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.analysis.redundancy.pair_measures import variance_ratios
from mmgraph.analysis.redundancy.projection_cost import (
    energy_removed,
    projection_costs,
    shared_energy_removed,
)
from mmgraph.functional import suppress
from mmgraph.knn.search.running_top_k import RunningTopK

NAMES = ("visual", "textual")


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(60, 3))
    pair = (z @ rng.normal(size=(3, d)) + rng.normal(size=(60, d)) for d in (6, 4))
    return [torch.from_numpy(x - x.mean(0)) for x in pair]


@pytest.fixture(scope="module")
def directions(tables):
    a, b = tables
    u, sigma, w_t = torch.linalg.svd(a.T @ b / 60, full_matrices=False)
    return u, sigma, w_t.T


@pytest.fixture(scope="module")
def ratios(tables, directions):
    bases = directions[0], directions[2]
    return {
        name: variance_ratios(x.T @ x / 60, basis)
        for name, x, basis in zip(NAMES, tables, bases, strict=True)
    }


CASES = [(1, 0.3), (2, 1.0), (4, 0.75), (3, 0.0)]


@pytest.mark.parametrize(("rank", "strength"), CASES)
def test_the_variance_removed_is_that_of_the_projected_table(
    tables, directions, ratios, rank, strength
):
    found = energy_removed(ratios, rank, strength)
    assert list(found) == list(NAMES)
    bases = directions[0], directions[2]
    for name, x, basis in zip(NAMES, tables, bases, strict=True):
        left = suppress(x, basis[:, :rank], strength).square().sum()
        expected = 1 - float(left / x.square().sum())
        assert found[name] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("rank", "strength"), CASES)
def test_the_shared_energy_removed_is_that_of_the_projected_pair(
    tables, directions, rank, strength
):
    (a, b), (u, sigma, w) = tables, directions
    left = suppress(a, u[:, :rank], strength)
    right = suppress(b, w[:, :rank], strength)
    rest = (left.T @ right).square().sum() / (a.T @ b).square().sum()
    found = shared_energy_removed(sigma, rank, strength)
    assert found == pytest.approx(1 - float(rest), abs=1e-12)


def nearest(rows):
    """Lists of the given rows, the first one nearest."""
    near = RunningTopK(len(rows), len(rows[0]))
    similarity = torch.full((len(rows), 40), -torch.inf)
    for centre, row in enumerate(rows):
        similarity[centre, row] = torch.linspace(0.9, 0.1, len(row))
    near.add_tile(similarity, 0)
    return near


def test_each_rank_is_compared_with_the_neighbours_as_they_were(ratios, directions):
    rng = np.random.default_rng(1)
    # Of each modality: as it is, after rank 1, after rank 3; five centres, near of 12.
    rows = [
        [[rng.permutation(40)[:12].tolist() for _ in range(5)] for _ in range(3)]
        for _ in NAMES
    ]
    rows[1][2] = [row[::-1][2:] + row[:2] for row in rows[1][0]]
    near = [[nearest(version) for version in own] for own in rows]
    sigma = directions[1]
    costs = projection_costs(NAMES, ratios, sigma, [1, 3], 0.6, near)
    assert [(cost.rank, cost.strength) for cost in costs] == [(1, 0.6), (3, 0.6)]
    for n, cost in enumerate(costs, start=1):
        assert cost.energy_removed == energy_removed(ratios, cost.rank, 0.6)
        removed = shared_energy_removed(sigma, cost.rank, 0.6)
        assert cost.shared_energy_removed == removed
        for name, own in zip(NAMES, rows, strict=True):
            kept = [
                len(set(before[:10]) & set(after[:10])) / 10  # ten of twelve count
                for before, after in zip(own[0], own[n], strict=True)
            ]
            changed = cost.neighbours_changed[name]
            assert changed == pytest.approx(1 - np.mean(kept), abs=1e-12)


def test_neighbours_that_stay_cost_nothing(ratios, directions):
    near = nearest([[3, 1, 2], [5, 6, 7]])
    pair = ([near, near], [near, near])
    (cost,) = projection_costs(NAMES, ratios, directions[1], [2], 0.5, pair)
    assert cost.neighbours_changed == {"visual": 0, "textual": 0}
