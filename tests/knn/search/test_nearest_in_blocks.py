from __future__ import annotations

import pytest
import torch

from mmgraph.knn.metric.block_products import BlockProducts
from mmgraph.knn.rows.row_source import RowSource
from mmgraph.knn.rows.survey import survey
from mmgraph.knn.search.nearest_in_blocks import kept_rows, nearest_in_blocks


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_lists_of_any_rows_equal_a_float64_brute_force(metric):
    x = torch.randn(200, 12) + 1
    x[9] = x[150] = 0
    x[31] = x[12]
    source = RowSource(x)
    found = survey(source, metric)
    rows = kept_rows(source, found.norm, 0, 200)
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
    got = nearest_in_blocks(
        source,
        BlockProducts(metric, found),
        chosen,
        6,
        include_self=False,
        block_rows=37,
        backend="torch",
    )
    assert torch.equal(got[0], want.indices)
    torch.testing.assert_close(got[1].double(), want.values, rtol=1e-6, atol=1e-6)
