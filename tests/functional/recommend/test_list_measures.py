from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from mmgraph.functional.recommend import list_measures
from mmgraph.functional.recommend.list_measures import (
    catalogue_coverage,
    diversity_in_lists,
    gini_index,
    mean_in_lists,
    self_information,
    unit_user_rows,
)

NUM_ITEMS = 12


@pytest.fixture(params=range(4))
def lists(request):
    """Lists of different items, some of them short or empty."""
    rng = np.random.default_rng(request.param)
    items = np.stack([rng.permutation(NUM_ITEMS)[:5] for _ in range(30)])
    for row, length in enumerate(rng.integers(0, 6, 10)):
        items[row, length:] = -1
    return torch.tensor(items)


def as_lists(items):
    return [[item for item in row if item >= 0] for row in items.tolist()]


def test_coverage_and_gini_are_those_of_counts(lists):
    shown = [item for row in as_lists(lists) for item in row]
    assert catalogue_coverage(lists, NUM_ITEMS) == len(set(shown)) / NUM_ITEMS
    counts = [shown.count(item) for item in range(NUM_ITEMS)]
    differences = sum(abs(a - b) for a in counts for b in counts)  # the definition
    expected = differences / (2 * NUM_ITEMS * sum(counts))
    assert gini_index(lists, NUM_ITEMS) == pytest.approx(expected, abs=1e-12)


def test_means_are_those_of_a_loop(lists):
    values = torch.rand(NUM_ITEMS, dtype=torch.float64)
    found = mean_in_lists(values, lists).tolist()
    for mean, row in zip(found, as_lists(lists), strict=True):
        own = [values[item].item() for item in row]
        expected = sum(own) / len(own) if own else math.nan
        assert mean == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_novelty_is_the_information_of_seeing_an_item():
    degree = torch.tensor([0, 1, 7, 64])
    expected = [-math.log2(max(n, 1) / 64) for n in degree.tolist()]
    assert self_information(degree, 64).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["dense", "float32", "sparse"])
def test_diversity_is_that_of_all_pairs(lists, kind, monkeypatch):
    monkeypatch.setattr(list_measures, "_USERS", 7)
    rows = np.random.default_rng(1).normal(size=(NUM_ITEMS, 4))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[[2, 5]] = 0  # items without a vector
    given = {
        "dense": rows,
        "float32": rows.astype(np.float32),
        "sparse": csr_array(rows),
    }
    found = diversity_in_lists(lists, given[kind])
    for value, row in zip(found, as_lists(lists), strict=True):
        own = [rows[item] for item in row if item not in (2, 5)]
        pairs = [a @ b for a, b in combinations(own, 2)]
        expected = 1 - sum(pairs) / len(pairs) if pairs else math.nan
        assert value == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_items_that_are_all_alike_have_no_diversity_below_zero():
    rows = np.tile(np.float32([0.36, 0.48, 0.8]), (NUM_ITEMS, 1))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True) * np.float32(1 - 1e-7)
    found = diversity_in_lists(torch.arange(NUM_ITEMS)[None], rows)
    assert found.tolist() == [0.0]
    assert not np.signbit(found[0])  # -0.0000 in a table


def test_users_of_an_item_are_a_row_of_length_one():
    edges = torch.tensor([[0, 0, 1, 2, 0], [1, 3, 1, 1, 1]])  # one stands twice
    dense = np.zeros((4, 3))
    dense[edges[1], edges[0]] = 1
    length = np.linalg.norm(dense, axis=1, keepdims=True)
    expected = np.divide(dense, length, out=np.zeros_like(dense), where=length > 0)
    np.testing.assert_allclose(unit_user_rows(edges, 3, 4).toarray(), expected)
