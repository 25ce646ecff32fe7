from __future__ import annotations

import pytest
import torch

from mmgraph.knn import symmetric_search as module
from mmgraph.knn.exact_lists import exact_lists
from mmgraph.knn.self_products import self_products
from mmgraph.knn.similarity import row_norms
from mmgraph.knn.symmetric_search import symmetric_search

METRICS = ["cosine", "ip", "l2"]


def dense_scores(x, metric):
    """The scaled similarities of self_products, from all pairs in float64."""
    wide = x.double()
    norm = wide.norm(dim=1)
    if metric == "l2":
        wide = wide - wide.mean(0)
        wide = wide / wide.norm(dim=1).max()
        return wide @ wide.T - wide.square().sum(1) / 2
    score = wide @ wide.T / norm[:, None]
    return score / (norm if metric == "cosine" else norm.max())


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("include_self", [False, True])
def test_tiles_find_what_the_whole_matrix_has(metric, include_self, monkeypatch):
    monkeypatch.setattr(module, "_WIDTH", 24)
    x = torch.randn(90, 6) + 1
    score = dense_scores(x, metric)
    if not include_self:
        score.fill_diagonal_(-torch.inf)
    want = score.topk(11)
    table = self_products(x, row_norms(x), metric)
    for height in (7, 40, 500):
        best = symmetric_search(table, 11, include_self=include_self, block_size=height)
        assert torch.equal(best.index, want.indices)
        torch.testing.assert_close(best.score.double(), want.values, rtol=0, atol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_products_stay_within_half_the_tolerance_of_exact_ones(metric):
    x = torch.randn(80, 300) + 1
    table = self_products(x, row_norms(x), metric)
    error = table.full_scores(torch.arange(80)) - dense_scores(x, metric)
    assert 0 < error.abs().max() < table.tolerance / 2


@pytest.mark.parametrize("metric", METRICS)
def test_chosen_rows_are_those_of_a_smaller_table(metric):
    x = torch.randn(30, 5)
    row = torch.tensor([1, 2, 4, 8, 9, 16, 25, 29])
    small = x[row]
    part = self_products(x, row_norms(small), metric, row)
    alone = self_products(small, row_norms(small), metric)
    assert torch.equal(part.rows(2, 6), alone.rows(2, 6))
    assert torch.equal(
        part.full_scores(torch.tensor([5, 0])), alone.full_scores(torch.tensor([5, 0]))
    )
    got = exact_lists(part, row_norms(x), metric, 3, include_self=False)
    want = exact_lists(alone, row_norms(small), metric, 3, include_self=False)
    assert torch.equal(got[0], want[0])
    assert torch.equal(got[1], want[1])


def test_rows_of_extreme_length_are_divided_in_float64():
    x = torch.tensor([[3e38, 3e38], [1e-38, 0.0]])
    table = self_products(x, row_norms(x), "cosine")
    want = torch.tensor([[0.5**0.5, 0.5**0.5], [1.0, 0.0]])
    torch.testing.assert_close(table.rows(0, 2), want)
