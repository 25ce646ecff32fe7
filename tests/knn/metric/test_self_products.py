from __future__ import annotations

import sys

import pytest
import torch
from reference.knn import METRICS, dense_scores

from mmgraph.functional.block_sizes import BlockSize
from mmgraph.knn.metric.self_products import self_products
from mmgraph.knn.metric.similarity import pair_similarity
from mmgraph.knn.rows.matrix_statistics import matrix_statistics
from mmgraph.knn.rows.row_norms import row_norms


@pytest.mark.parametrize("metric", METRICS)
def test_products_stay_within_half_the_tolerance_of_exact_ones(metric):
    x = torch.randn(80, 300) + 1
    products = self_products(x, matrix_statistics(x, metric), metric)
    error = products.full_scores(torch.arange(80)) - dense_scores(x, metric)
    assert 0 < error.abs().max() < products.tolerance / 2


@pytest.mark.parametrize("metric", METRICS)
def test_pieces_of_all_rows_change_no_score(metric, monkeypatch):
    module = sys.modules["mmgraph.knn.metric.self_products"]
    monkeypatch.setattr(module, "READ", BlockSize(2, 2))  # 256 rows at least
    x = torch.randn(600, 3) + 1
    products = self_products(x, matrix_statistics(x, metric), metric)
    centre = torch.tensor([0, 299, 599])
    expected = dense_scores(x, metric)[centre]
    torch.testing.assert_close(
        products.full_scores(centre).double(), expected, rtol=0, atol=1e-6
    )


@pytest.mark.parametrize(
    "rows",
    [
        [[3e38, 3e38], [1e-38, 0.0]],
        [[3e38, 3e38], [1.0, 2.0]],
        [[3e-43, 4e-43], [1.0, 2.0]],
    ],
)
def test_rows_of_extreme_length_are_divided_in_float64(rows):
    x = torch.tensor(rows)
    products = self_products(x, matrix_statistics(x, "cosine"), "cosine")
    want = x.double() / x.double().norm(dim=1, keepdim=True)
    torch.testing.assert_close(products.rows(0, 2).double(), want, rtol=1e-6, atol=0)


@pytest.mark.parametrize("metric", METRICS)
def test_a_similarity_and_its_score_name_the_same_pair(metric):
    x = torch.randn(40, 5) + 1
    norm = row_norms(x)
    products = self_products(x, matrix_statistics(x, metric), metric)
    row, col = torch.arange(4, 20), torch.arange(20, 36)
    similarity = pair_similarity(x, row, col, metric=metric, norm=norm)
    want = dense_scores(x, metric)[row, col]
    got = products.score_of(similarity, slice(4, 20))
    torch.testing.assert_close(got, want, rtol=0, atol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_rows_of_float32_that_lie_far_from_the_origin_stay_short(metric):
    """A centre rounded to float32 is the one that the scale is measured from."""
    x = torch.randn(50, 4) + 3e6
    products = self_products(x, matrix_statistics(x, metric), metric)
    assert products.rows(0, 50).double().norm(dim=1).max() < 1 + 1e-6
