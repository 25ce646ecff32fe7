from __future__ import annotations

import sys

import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.knn.metric.products import metric_products
from mmgraph.knn.rows.matrix_statistics import matrix_statistics
from mmgraph.knn.search.inverted_lists import InvertedLists, cells_to_try

pytest.importorskip("faiss", reason="this way of searching is FAISS itself")


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_looking_into_all_cells_is_exact_search(metric):
    x = torch.randn(400, 6) + 1
    statistics = matrix_statistics(x, metric)
    products = metric_products(x, statistics, metric)
    base = products.neighbours(x, statistics.norm)
    query = products.centres(x, statistics.norm)
    search = InvertedLists(base, metric, 20)
    search.probe = 99
    product, index = search(query, 7)
    want = (query.double() @ base.double().T).topk(7)
    assert torch.equal(index, want.indices)
    torch.testing.assert_close(product.double(), want.values, rtol=0, atol=1e-6)


def test_products_are_those_of_the_rows_and_few_rows_are_filled_up():
    x = torch.randn(50, 4)
    statistics = matrix_statistics(x, "cosine")
    products = metric_products(x, statistics, "cosine")
    base = products.neighbours(x, statistics.norm)
    search = InvertedLists(base, "cosine", 12)
    assert search.cost() == 12 + 50 / 12
    product, index = search(base, 9)  # a cell has four rows or so
    every = base @ base.T
    torch.testing.assert_close(product, every.gather(1, index), rtol=0, atol=1e-6)
    assert all(len(set(row)) == 9 for row in index.tolist())
    assert (product.diff(dim=1) <= 0).all()


def test_numbers_of_cells_fit_the_matrix():
    assert cells_to_try(1) == [1, 1]
    assert cells_to_try(12) == [3, 3]
    assert cells_to_try(10) == [3, 2]
    assert all(isinstance(cells, int) for cells in cells_to_try(10))
    assert cells_to_try(10**6) == [1000, 4000]


def test_cells_of_l2_are_told_apart_by_distance():
    """Two clusters in one direction: a product would send all to the farther one."""
    near = torch.tensor([1.0, 0.0]) + 0.01 * torch.randn(10, 2)
    x = torch.cat([near, near + torch.tensor([9.0, 0.0])])
    base = torch.cat([x, -x.square().sum(1, keepdim=True) / 2], 1)
    query = torch.cat([x, torch.ones(20, 1)], 1)
    search = InvertedLists(base, "l2", 2)
    product, index = search(query, 10)  # one cell each
    assert torch.equal(index < 10, (torch.arange(20) < 10)[:, None].expand(20, 10))
    expected = (query @ base.T).gather(1, index)
    torch.testing.assert_close(product, expected, rtol=1e-5, atol=1e-4)


def test_without_faiss_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    text = r"^approximate search needs FAISS - pip install 'mmgraph\[cpu\]'$"
    with pytest.raises(UserError, match=text):
        InvertedLists(torch.eye(3), "ip", 1)
