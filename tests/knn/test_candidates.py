from __future__ import annotations

import pytest
import torch

from mmgraph.knn.candidates import candidate_pairs
from mmgraph.knn.inner_product import inner_product_space
from mmgraph.knn.search import build_search
from mmgraph.knn.similarity import row_norms

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


def test_a_list_cut_in_a_tie_is_completed():
    x = torch.ones(50, 2)  # every row ties with every other
    space = inner_product_space(x, row_norms(x), "cosine")
    row, col = candidate_pairs(space, build_search("torch", space.base), 10, 12, 3)
    pairs = set(zip(row.tolist(), col.tolist(), strict=True))
    assert pairs == {(i, j) for i in (10, 11) for j in range(50)}
    assert len(row) == 100


def test_only_rows_near_the_boundary_are_kept_beyond_need():
    x = torch.tensor([[1.0, 0.05 * i] for i in range(40)])
    space = inner_product_space(x, row_norms(x), "cosine")
    row, col = candidate_pairs(space, build_search("torch", space.base), 0, 1, 3)
    assert row.tolist() == [0, 0, 0]
    assert sorted(col.tolist()) == [0, 1, 2]
