from __future__ import annotations

import sys

import pytest
import torch

from mmgraph.functional.block_sizes import BlockSize
from mmgraph.knn.metric.products import metric_products
from mmgraph.knn.rows.matrix_statistics import matrix_statistics
from mmgraph.knn.rows.row_source import RowSource
from mmgraph.knn.rows.usable_rows import UsableRows
from mmgraph.knn.search.backends import build_search
from mmgraph.knn.search.block_search import BlockSearch, nearest_rows
from mmgraph.knn.search.row_block import row_block


def prepared(x):
    statistics = matrix_statistics(x, "cosine")
    products = metric_products(x, statistics, "cosine")
    return UsableRows.of(x, statistics.norm), products


def counted(monkeypatch):
    """Pairs whose similarity is summed, call by call."""
    module, seen = sys.modules["mmgraph.knn.search.block_search"], []
    plain = module.pair_similarity

    def counting(x, row, *words, **options):
        seen.append(len(row))
        return plain(x, row, *words, **options)

    monkeypatch.setattr(module, "pair_similarity", counting)
    return seen


def test_a_tie_longer_than_any_proposal_is_gone_through_in_little_memory(monkeypatch):
    """400 multiples of one row; never more pairs at a time than one centre has."""
    direction = torch.tensor([3.0, 4.0])
    x = torch.arange(400, 0, -1)[:, None] * direction
    rows, products = prepared(x)
    seen = counted(monkeypatch)
    module = sys.modules["mmgraph.knn.search.block_search"]
    monkeypatch.setattr(module, "CANDIDATE_PAIRS", BlockSize(500, 500))
    block_search = BlockSearch(rows, products, 3)
    for part in torch.arange(len(x)).split(200):
        block = row_block(rows[part], products)
        search = build_search("torch", block.product)
        block_search.add(block, search, 64)
    assert block_search.nearest.neighbour.tolist() == [[0, 1, 2]] * 400
    assert (block_search.nearest.score == 1).all()
    assert 200 <= max(seen) <= 500


@pytest.mark.parametrize("centres_at_once", [1, 7, 1000])
def test_what_cannot_enter_a_list_is_not_summed(monkeypatch, centres_at_once):
    x = torch.randn(120, 8)
    rows, products = prepared(x)
    seen = counted(monkeypatch)
    block_search = BlockSearch(rows, products, 4)
    wide = x.double() / rows.norm[:, None]
    expected = torch.zeros(120, 0).double()
    pairs = 0
    for part in torch.arange(120).split(40):
        block = row_block(rows[part], products)
        search = build_search("torch", block.product)
        block_search.add(block, search, centres_at_once)
        product = wide @ wide[part].T
        expected = torch.cat([expected, product], 1)
        fourth = expected.topk(4).values[:, -1:]
        pairs += int((product >= fourth).sum())
    assert sum(seen) == pairs  # no near ties in random rows
    assert torch.equal(block_search.nearest.neighbour, (wide @ wide.T).topk(4).indices)


def test_the_bound_is_the_last_of_the_best_products_so_far():
    rows, products = prepared(torch.randn(5, 2))
    block_search, seen = BlockSearch(rows, products, 3), []
    for _ in range(6):
        product = torch.randn(5, 4).sort(1, descending=True).values
        seen.append(product)
        bound = block_search._raise_bound(slice(1, 4), product[1:4])
        best = torch.cat(seen, 1)[1:4].sort(1, descending=True).values
        assert torch.equal(bound, best[:, 2])
    untouched = block_search._raise_bound(slice(0, 1), torch.tensor([[0.5]]))
    assert untouched.tolist() == [-torch.inf]


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_neighbours_of_any_rows_equal_a_float64_brute_force(metric):
    x = torch.randn(200, 12) + 1
    x[9] = x[150] = 0
    x[31] = x[12]
    source = RowSource(x)
    statistics = matrix_statistics(source, metric)
    rows = UsableRows.read(source, statistics.norm, 0, 200)
    chosen = rows[torch.tensor([180, 3, 12, 30, 12])]  # any order, and twice
    assert chosen.id.tolist() == [182, 3, 13, 31, 13]
    wide = x.double()
    value = {
        "cosine": lambda: (
            wide @ wide.T / (wide.norm(dim=1) * wide.norm(dim=1)[:, None])
        ),
        "ip": lambda: wide @ wide.T,
        "l2": lambda: -torch.cdist(wide, wide).square(),
    }[metric]()
    value = value.fill_diagonal_(-torch.inf)
    value[:, [9, 150]] = -torch.inf
    want = value[chosen.id].topk(6)
    got = nearest_rows(
        (rows[start : start + 37] for start in range(0, 198, 37)),
        metric_products(source, statistics, metric),
        chosen,
        6,
        include_self=False,
        backend="torch",
    )
    assert torch.equal(got[0], want.indices)
    torch.testing.assert_close(got[1].double(), want.values, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("start", [10, 0])
def test_of_equal_products_none_is_left_out(start, monkeypatch):
    """Every row ties with every other: all are gone through, whatever is proposed."""
    seen = counted(monkeypatch)
    x = torch.arange(1, 51)[:, None] * torch.tensor([3.0, 4.0])
    rows, products = prepared(x)
    block_search = BlockSearch(rows[start : start + 2], products, 3)
    block = row_block(rows, products)
    block_search.add(block, build_search("torch", block.product), 64)
    assert sum(seen) == 100
    assert block_search.nearest.neighbour.tolist() == [[0, 1, 2]] * 2


def test_only_rows_near_the_last_place_are_summed(monkeypatch):
    seen = counted(monkeypatch)
    rows, products = prepared(torch.tensor([[1.0, 0.05 * i] for i in range(40)]))
    block_search = BlockSearch(rows[:1], products, 3)
    block = row_block(rows, products)
    block_search.add(block, build_search("torch", block.product), 64)
    assert sum(seen) == 3
    assert block_search.nearest.neighbour.tolist() == [[0, 1, 2]]


def test_centres_that_are_equal_have_equal_neighbours_wherever_they_stand():
    x = torch.randn(40, 3)
    x[7] = x[3]
    rows, products = prepared(x)
    chosen = rows[torch.tensor([3, 7, 12, 3, 9])]
    options = {"include_self": True, "backend": "torch"}
    found, _ = nearest_rows([rows], products, chosen, 4, **options)
    alone = [
        nearest_rows([rows], products, chosen[i : i + 1], 4, **options)[0]
        for i in range(5)
    ]
    assert torch.equal(found, torch.cat(alone))
    assert found[0].tolist() == found[1].tolist() == found[3].tolist()


def test_torch_searches_where_faiss_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    rows, products = prepared(torch.eye(3))
    found, _ = nearest_rows(
        [rows], products, rows, 1, include_self=True, backend="torch"
    )
    assert found.tolist() == [[0], [1], [2]]
