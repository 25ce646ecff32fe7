from __future__ import annotations

import pytest
import torch

from mmgraph.knn.metric.block_products import BlockProducts
from mmgraph.knn.rows.row_source import RowSource
from mmgraph.knn.rows.survey import survey


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_products_of_any_two_blocks_are_within_half_the_tolerance(metric):
    x = torch.randn(80, 300) * torch.rand(80, 1) + 1
    found = survey(RowSource(x), metric)
    products = BlockProducts(metric, found)
    wide = x.double()
    if metric == "l2":
        wide = (wide - wide.mean(0)) / (wide - wide.mean(0)).norm(dim=1).max()
        exact = wide @ wide.T - wide.square().sum(1) / 2
    else:
        unit = wide / wide.norm(dim=1, keepdim=True)
        exact = unit @ (unit if metric == "cosine" else wide / found.norm.max()).T
    parts = [slice(0, 13), slice(13, 80)]
    for a in parts:
        for b in parts:
            query = products.centres(x[a], found.norm[a])
            base = products.neighbours(x[b], found.norm[b])
            error = (query @ base.T - exact[a, b]).abs().max()
            assert 0 < error < products.tolerance / 2


def test_equal_rows_have_a_scale():
    x = torch.ones(4, 3)
    products = BlockProducts("l2", survey(RowSource(x), "l2"))
    norm = products.survey.norm
    value = products.centres(x, norm) @ products.neighbours(x, norm).T
    assert torch.equal(value, torch.zeros(4, 4))
