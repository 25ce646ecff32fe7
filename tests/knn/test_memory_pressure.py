"""Searches that get less memory than they ask for go on, and find the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.functional.block_sizes import BLOCK_SCORES, halved
from mmgraph.knn import build_blocks, delete, insert, knn_graph, read_shards
from mmgraph.knn.metric import self_products
from mmgraph.knn.search import block_search, symmetric_search


@pytest.fixture
def x():
    x = torch.randn(3000, 6, generator=torch.Generator().manual_seed(0))
    x[100:140] = x[7]
    x[55] = 0
    return x


@pytest.fixture
def scarce(monkeypatch):
    """Products are refused unless blocks are at most a quarter of what is usual."""
    refusals = []
    for module in (self_products, symmetric_search, block_search):
        products = module.inner_products

        def refuse(query, base, products=products):
            if halved(4) > 1:
                refusals.append(halved(4))
                raise MemoryError
            return products(query, base)

        monkeypatch.setattr(module, "inner_products", refuse)
    return refusals


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_a_search_in_memory_goes_on(x, metric, request):
    want = knn_graph(x, 10, metric=metric)
    fewer = knn_graph(x[:2500], 10, metric=metric)
    scarce = request.getfixturevalue("scarce")
    for block_size in (None, 700):
        got = knn_graph(x, 10, metric=metric, block_size=block_size)
        assert torch.equal(got[0], want[0])
        assert torch.equal(got[1], want[1])
    assert scarce == [4, 2] * 2
    got = delete(*want, x, 10, rows=torch.arange(2500, 3000), metric=metric)
    assert torch.equal(got[0], fewer[0])


def test_an_index_search_and_a_build_in_blocks_go_on(x, request, tmp_path):
    pytest.importorskip("faiss")
    want = knn_graph(x, 10)
    request.getfixturevalue("scarce")
    got = knn_graph(x, 10, backend="faiss")
    assert torch.equal(got[0], want[0])
    np.save(tmp_path / "x.npy", x.numpy())
    work = build_blocks(tmp_path / "x.npy", 10, tmp_path / "work", block_rows=900)
    got = read_shards([work.path])
    assert torch.equal(got[0], want[0])
    assert torch.equal(got[1], want[1])
    assert work.manifest["blocks"]["rows"] == 900  # the grid is not halved


def test_rows_that_are_inserted(x, request):
    old = knn_graph(x[:2500], 10)
    want = knn_graph(x, 10)
    scarce = request.getfixturevalue("scarce")
    got = insert(*old, x, 10, num_new=500)
    assert scarce
    assert torch.equal(got[0], want[0])


def test_memory_that_no_block_needs_is_one_line(x, monkeypatch):
    def refuse(*_):
        raise MemoryError

    monkeypatch.setattr(symmetric_search, "inner_products", refuse)
    with pytest.raises(UserError, match="memory ran out, with blocks of 1/64 of their"):
        knn_graph(x, 10)
    assert BLOCK_SCORES.on("cpu") == BLOCK_SCORES.cpu
