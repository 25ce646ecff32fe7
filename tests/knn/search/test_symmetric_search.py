from __future__ import annotations

import pytest
import torch
from reference.knn import METRICS, dense_scores

from mmgraph.functional.block_sizes import BlockSize
from mmgraph.knn.metric.self_products import self_products
from mmgraph.knn.rows.matrix_statistics import matrix_statistics
from mmgraph.knn.search import symmetric_search as module
from mmgraph.knn.search.symmetric_search import symmetric_search


@pytest.mark.parametrize("metric", METRICS)
def test_tiles_find_what_the_whole_matrix_has(metric, monkeypatch):
    monkeypatch.setattr(module, "TILE_WIDTH", BlockSize(24, 24))
    x = torch.randn(90, 6) + 1
    score = dense_scores(x, metric)
    want = score.topk(11)
    products = self_products(x, matrix_statistics(x, metric), metric)
    for height in (7, 40, 500):
        best = symmetric_search(products, 11, block_size=height)
        assert torch.equal(best.neighbour, want.indices)
        torch.testing.assert_close(best.score.double(), want.values, rtol=0, atol=1e-6)
