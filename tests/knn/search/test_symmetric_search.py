from __future__ import annotations

import pytest
import torch
from reference.knn import METRICS, dense_scores

from mmgraph.knn.metric.self_products import self_products
from mmgraph.knn.metric.similarity import row_norms
from mmgraph.knn.search import symmetric_search as module
from mmgraph.knn.search.symmetric_search import symmetric_search


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
