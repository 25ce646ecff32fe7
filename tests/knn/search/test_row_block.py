from __future__ import annotations

import torch

from mmgraph.knn.metric.products import metric_products
from mmgraph.knn.rows.matrix_statistics import matrix_statistics
from mmgraph.knn.rows.usable_rows import UsableRows
from mmgraph.knn.search.row_block import row_block


def test_ids_of_equal_rows_are_listed_together():
    x = torch.tensor([[1.0], [2.0], [1.0], [3.0], [1.0], [2.0]])
    statistics = matrix_statistics(x, "cosine")
    products = metric_products(x, statistics, "cosine")
    block = row_block(UsableRows.of(x, statistics.norm, start=100), products)
    assert block.rows.x.flatten().tolist() == [1, 2, 3]
    assert block.rows.id.tolist() == block.groups.first.tolist() == [100, 101, 103]
    assert block.product.shape == (3, 1)
    count, member = block.groups.members(torch.tensor([1, 0, 0, 2]), 2)
    assert count.tolist() == [2, 2, 2, 1]
    assert member.tolist() == [101, 105, 100, 102, 100, 102, 103]
