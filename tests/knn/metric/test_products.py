from __future__ import annotations

import sys
from fractions import Fraction

import numpy as np
import pytest
import torch

from mmgraph.functional.block_sizes import BlockSize
from mmgraph.knn.metric.products import (
    MetricProducts,
    metric_products,
    product_tolerance,
)
from mmgraph.knn.rows.matrix_statistics import matrix_statistics
from mmgraph.knn.rows.row_norms import row_norms
from mmgraph.knn.rows.row_source import RowSource

METRICS = ["cosine", "ip", "l2"]


def products_of(x, metric):
    statistics = matrix_statistics(RowSource(x), metric)
    return metric_products(RowSource(x), statistics, metric)


@pytest.mark.parametrize("metric", METRICS)
def test_products_of_any_two_blocks_are_within_half_the_tolerance(metric):
    x = torch.randn(80, 300) * torch.rand(80, 1) + 1
    products, norm = products_of(x, metric), row_norms(x)
    wide = x.double()
    if metric == "l2":
        wide = (wide - wide.mean(0)) / (wide - wide.mean(0)).norm(dim=1).max()
        exact = wide @ wide.T - wide.square().sum(1) / 2
    else:
        unit = wide / wide.norm(dim=1, keepdim=True)
        exact = unit @ (unit if metric == "cosine" else wide / norm.max()).T
    parts = [slice(0, 13), slice(13, 80)]
    for a in parts:
        for b in parts:
            query = products.centres(x[a], norm[a])
            base = products.neighbours(x[b], norm[b])
            error = (query @ base.T - exact[a, b]).abs().max()
            assert 0 < error < products.tolerance / 2


@pytest.mark.parametrize("far", [0, 25, 49])
def test_the_scale_of_l2_is_the_largest_distance_wherever_that_row_is(far, monkeypatch):
    module = sys.modules["mmgraph.knn.metric.products"]
    monkeypatch.setattr(module, "READ", BlockSize(3 * 7, 1))  # seven rows at a time
    x = 0.01 * torch.randn(50, 3)
    x[far] *= 5
    x[7] = 0
    usable = x[x.any(dim=1)].double().numpy()
    expected = np.linalg.norm(usable - usable.mean(0), axis=1).max()
    assert products_of(x, "l2").scale == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_rows_are_float32_whatever_the_default_dtype(metric):
    x = torch.randn(20, 3)
    products, norm = products_of(x, metric), row_norms(x)
    torch.set_default_dtype(torch.float64)
    try:
        made = products.centres(x, norm), products.neighbours(x, norm)
    finally:
        torch.set_default_dtype(torch.float32)
    assert {rows.dtype for rows in made} == {torch.float32}


def test_equal_rows_have_a_scale():
    x = torch.ones(4, 3)
    products, norm = products_of(x, "l2"), row_norms(x)
    value = products.centres(x, norm) @ products.neighbours(x, norm).T
    assert torch.equal(value, torch.zeros(4, 4))


@pytest.mark.parametrize("metric", METRICS)
def test_order_of_products_is_the_order_of_the_metric(metric):
    x = torch.randn(30, 5)
    products, norm = products_of(x, metric), row_norms(x)
    product = products.centres(x, norm) @ products.neighbours(x, norm).T
    wide = x.double()
    value = {
        "cosine": lambda: wide @ (wide / wide.norm(dim=1, keepdim=True)).T,
        "ip": lambda: wide @ wide.T,
        "l2": lambda: -torch.cdist(wide, wide),
    }[metric]()
    assert torch.equal(product.argsort(1), value.argsort(1))


def test_rows_are_divided_in_float64_and_rounded_once_across_blocks():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(130, 4096)).astype(np.float32)  # several blocks of 32 rows
    norm = rng.uniform(0.1, 9.0, size=130)
    want = (x.astype(np.float64) / norm[:, None]).astype(np.float32)
    products = MetricProducts("cosine", torch.zeros(4096).double(), 1.0)
    got = products.centres(torch.from_numpy(x), torch.from_numpy(norm))
    assert np.array_equal(got.numpy(), want)


@pytest.mark.parametrize("metric", METRICS)
def test_gain_and_offset_make_scores_of_a_symmetric_product(metric):
    x = torch.randn(40, 6) + 1
    products, norm = products_of(x, metric), row_norms(x)
    rows = products.rows(x, norm).double()
    score = rows @ rows.T
    if metric == "ip":
        score = score * products.gain(norm)
    if metric == "l2":
        score = score + products.offset((x - products.centre).norm(dim=1))
    plain = products.centres(x, norm).double() @ products.neighbours(x, norm).double().T
    torch.testing.assert_close(score, plain, rtol=0, atol=1e-6)
    assert rows.norm(dim=1).max() < 1 + 1e-6


@pytest.mark.parametrize(("metric", "largest"), [("cosine", 1), ("ip", 1), ("l2", 1.5)])
@pytest.mark.parametrize("dim", [1, 64, 4096])
def test_it_covers_twice_the_bound_of_a_sum_with_a_tenth_to_spare(metric, largest, dim):
    u = Fraction(1, 2**24)
    terms = dim + (metric == "l2")  # and the column of half the squared length
    bound = 2 * Fraction(largest) * terms * u
    got = Fraction(product_tolerance(dim, metric))
    assert bound < got
    assert got / (dim + 8) / u == pytest.approx(2.1 if largest == 1 else 3.2, rel=1e-12)
