from __future__ import annotations

import pytest
import torch

from mmgraph.knn.metric.inner_product import inner_product_space
from mmgraph.knn.metric.similarity import row_norms

METRICS = ["cosine", "ip", "l2"]


@pytest.mark.parametrize("metric", METRICS)
def test_products_stay_within_half_the_tolerance_of_exact_ones(metric):
    x = torch.randn(80, 300) + 1
    space = inner_product_space(x, row_norms(x), metric)
    wide = x.double()
    if metric == "l2":
        wide = wide - wide.mean(0)
        wide /= wide.norm(dim=1).max()
        exact = wide @ wide.T - wide.square().sum(1) / 2
    else:
        unit = wide / wide.norm(dim=1, keepdim=True)
        longest = 1 if metric == "ip" else wide.norm(dim=1, keepdim=True)
        top = wide.norm(dim=1).max() if metric == "ip" else 1
        exact = unit @ (wide / longest / top).T
    error = (space.query @ space.base.T - exact).abs().max()
    assert 0 < error < space.tolerance / 2


@pytest.mark.parametrize("metric", METRICS)
def test_order_of_products_is_the_order_of_the_metric(metric):
    x = torch.randn(30, 5)
    space = inner_product_space(x, row_norms(x), metric)
    wide = x.double()
    value = {
        "cosine": lambda: wide @ (wide / wide.norm(dim=1, keepdim=True)).T,
        "ip": lambda: wide @ wide.T,
        "l2": lambda: -torch.cdist(wide, wide),
    }[metric]()
    assert torch.equal((space.query @ space.base.T).argsort(1), value.argsort(1))


def test_equal_rows_have_no_distance():
    x = torch.ones(4, 3)
    space = inner_product_space(x, row_norms(x), "l2")
    assert not (space.query @ space.base.T).any()
