from __future__ import annotations

import pytest
import torch

from mmgraph.knn.metric.self_products import self_products
from mmgraph.knn.metric.similarity import row_norms
from mmgraph.knn.search import exact_lists as module
from mmgraph.knn.search.exact_lists import exact_lists, lists_of

METRICS = ["cosine", "ip", "l2"]


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


@pytest.mark.parametrize("metric", METRICS)
def test_lists_of_a_few_centres_are_those_of_all(metric, monkeypatch):
    monkeypatch.setattr(module, "_SCORES", 90)  # three centres at a time
    x = torch.randint(-2, 3, (30, 4)).float() + 0.5
    norm = row_norms(x)
    table = self_products(x, norm, metric)
    want = exact_lists(table, norm, metric, 4, include_self=True)
    centre = torch.tensor([0, 3, 4, 17, 21, 28, 29])
    got = lists_of(centre, table, norm, metric, 4, include_self=True)
    assert torch.equal(got[0], want[0][centre])
    assert torch.equal(got[1], want[1][centre])
