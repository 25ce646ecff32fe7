from __future__ import annotations

import torch

from mmgraph.knn.metric.inner_product import inner_product_space
from mmgraph.knn.metric.similarity import row_norms
from mmgraph.knn.search.backends import build_search
from mmgraph.knn.search.candidates import candidate_pairs


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
