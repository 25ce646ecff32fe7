from __future__ import annotations

import pytest
import torch

from mmgraph.knn.metric.block_products import BlockProducts
from mmgraph.knn.metric.similarity import pair_similarity
from mmgraph.knn.rows.row_source import RowSource
from mmgraph.knn.rows.survey import survey
from mmgraph.knn.search.row_block import Centres, row_block, similarity_across


def rows_of(x, metric="cosine"):
    found = survey(RowSource(x), metric)
    return Centres(torch.arange(len(x)) + 100, x, found.norm), BlockProducts(
        metric, found
    )


def test_members_of_equal_rows_are_listed_together():
    x = torch.tensor([[1.0], [2.0], [1.0], [3.0], [1.0], [2.0]])
    block = row_block(*rows_of(x))
    assert block.x.flatten().tolist() == [1, 2, 3]
    count, member = block.members.first(torch.tensor([1, 0, 0, 2]), 2)
    assert count.tolist() == [2, 2, 2, 1]
    assert member.tolist() == [101, 105, 100, 102, 100, 102, 103]


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_similarity_is_that_of_one_table_bit_for_bit(metric):
    x = torch.randn(50, 7)
    rows, products = rows_of(x, metric)
    first, last = torch.arange(20), torch.arange(20, 50)
    block = row_block(rows[last], products)
    row, col = torch.randint(20, (3000,)), torch.randint(30, (3000,))
    got = similarity_across(rows[first], block, row, col, metric)
    want = pair_similarity(x, row, col + 20, metric=metric, norm=rows.norm)
    assert torch.equal(got, want)
