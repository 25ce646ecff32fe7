from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from mmgraph.functional.graph.fixed_neighbors import fixed_neighbors

# Node 0 has four neighbours, node 2 two, node 3 one; nodes 1 and 4 have none.
EDGES = torch.tensor([[4, 1, 2, 3, 3, 0, 2], [0, 0, 0, 0, 2, 2, 3]])
COUNT = torch.tensor([5, 4, 4, 1, 3, 1, 2])
PRESENT = {0: [4, 1, 2, 3], 2: [3, 0], 3: [2]}


def lists(size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    edges, weight = fixed_neighbors(EDGES, COUNT, 5, size, generator=generator)
    found = {}
    for (neighbor, centre), w in zip(edges.T.tolist(), weight.tolist(), strict=True):
        found.setdefault(centre, []).append((neighbor, w))
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_first_neighbours_come_first_and_draws_only_fill_up(size):
    for seed in range(5):
        found = lists(size, seed)
        assert found.keys() == PRESENT.keys()
        for node, present in PRESENT.items():
            names = [neighbor for neighbor, _ in found[node]]
            assert len(names) == size
            assert names[: len(present)] == present[:size]
            assert set(names) <= set(present)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_weights_are_the_softmax_of_the_counts_with_repeats(size):
    pairs = EDGES.T.tolist()
    count = {tuple(e): c for e, c in zip(pairs, COUNT.tolist(), strict=True)}
    for node, entries in lists(size).items():
        total = sum(math.exp(count[neighbor, node]) for neighbor, _ in entries)
        for neighbor, weight in entries:
            expected = math.exp(count[neighbor, node]) / total
            assert weight == pytest.approx(expected, rel=1e-6)


def test_draws_are_uniform_over_those_present():
    names = [neighbor for neighbor, _ in lists(20_004)[0]][4:]
    shares = Counter(names)
    # 20 000 draws of four: the standard error of a share is 0.0031.
    for neighbor in PRESENT[0]:
        assert shares[neighbor] / 20_000 == pytest.approx(0.25, abs=0.0155)


def test_a_seed_repeats_the_draws_and_another_changes_them():
    assert lists(50, seed=1) == lists(50, seed=1)
    assert lists(50, seed=1) != lists(50, seed=2)


def test_large_counts_do_not_overflow():
    edges, weight = fixed_neighbors(
        torch.tensor([[1, 2], [0, 0]]), torch.tensor([5000, 4999]), 3, 2
    )
    expected = torch.tensor([1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))])
    torch.testing.assert_close(weight, expected)
    assert edges.tolist() == [[1, 2], [0, 0]]


def test_no_edges_give_no_edges():
    none = torch.zeros(2, 0, dtype=torch.long)
    edges, weight = fixed_neighbors(none, none[0], 4, 3)
    assert edges.shape == (2, 0)
    assert weight.shape == (0,)


def test_a_size_below_one_is_refused():
    with pytest.raises(ValueError, match=r"'size' must be at least 1 \(got 0\)"):
        fixed_neighbors(EDGES, COUNT, 5, 0)


def test_edges_in_another_order_are_refused():
    with pytest.raises(ValueError, match="must be ordered by its centres"):
        fixed_neighbors(EDGES.flip(1), COUNT.flip(0), 5, 2)
