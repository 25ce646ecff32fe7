from __future__ import annotations

import sys

import pytest
import torch

from mmgraph.knn.metric.block_products import BlockProducts
from mmgraph.knn.rows.row_source import RowSource
from mmgraph.knn.rows.survey import survey
from mmgraph.knn.search.backends import build_search
from mmgraph.knn.search.block_search import search_block
from mmgraph.knn.search.row_block import Centres, row_block
from mmgraph.knn.search.running_lists import RunningLists


def prepared(x):
    found = survey(RowSource(x), "cosine")
    rows = Centres(torch.arange(len(x)), x, found.norm)
    return rows, BlockProducts("cosine", found)


def test_a_tie_longer_than_any_proposal_is_gone_through_in_little_memory(monkeypatch):
    """400 multiples of one row; never more pairs at a time than one centre has."""
    direction = torch.tensor([3.0, 4.0])
    x = torch.arange(400, 0, -1)[:, None] * direction
    rows, products = prepared(x)
    module, seen = sys.modules["mmgraph.knn.search.block_search"], []
    monkeypatch.setattr(module, "_PAIRS", 500)
    across = module.similarity_across
    monkeypatch.setattr(
        module,
        "similarity_across",
        lambda *words: seen.append(len(words[2])) or across(*words),
    )
    lists = RunningLists(len(x), 3)
    query = products.centres(x, rows.norm)
    for part in torch.arange(len(x)).split(200):
        block = row_block(rows[part], products)
        search = build_search("torch", block.product)
        search_block(block, search, rows, query, lists, products, 64)
    assert lists.neighbour.tolist() == [[0, 1, 2]] * 400
    assert (lists.similarity == 1).all()
    assert 200 <= max(seen) <= 500


@pytest.mark.parametrize("centres_at_once", [1, 7, 1000])
def test_what_cannot_enter_a_list_is_not_summed(monkeypatch, centres_at_once):
    x = torch.randn(120, 8)
    rows, products = prepared(x)
    module, seen = sys.modules["mmgraph.knn.search.block_search"], []
    across = module.similarity_across
    monkeypatch.setattr(
        module,
        "similarity_across",
        lambda *words: seen.append(len(words[2])) or across(*words),
    )
    lists = RunningLists(120, 4)
    query = products.centres(x, rows.norm)
    wide = x.double() / rows.norm[:, None]
    expected = torch.zeros(120, 0).double()
    pairs = 0
    for part in torch.arange(120).split(40):
        block = row_block(rows[part], products)
        search = build_search("torch", block.product)
        search_block(block, search, rows, query, lists, products, centres_at_once)
        product = wide @ wide[part].T
        expected = torch.cat([expected, product], 1)
        fourth = expected.topk(4).values[:, -1:]
        pairs += int((product >= fourth).sum())
    assert sum(seen) == pairs  # no near ties in random rows
    assert torch.equal(lists.neighbour, (wide @ wide.T).topk(4).indices)
