from __future__ import annotations

import math

import pytest
import torch

from mmgraph.knn import knn_graph
from mmgraph.knn.rows.usable_rows import usable_rows


def table():
    rows = "1 2, 0 0, 3 1, 1 2, nan 0, 1 2, inf 1, 3 1, 5 5"
    return torch.tensor([[float(v) for v in row.split()] for row in rows.split(",")])


def test_every_kind_of_row_is_counted():
    found = usable_rows(table(), nan="isolate")
    assert found.row.tolist() == [0, 2, 3, 5, 7, 8]
    assert found.group.tolist() == [0, 1, 0, 0, 1, 2]
    assert found.first.tolist() == [0, 1, 5]
    assert (found.zero_rows, found.nan_rows) == (1, 2)
    assert (found.duplicate_groups, found.collapsed_rows) == (2, 0)
    assert found.norm.tolist()[:2] == [math.sqrt(5), 0.0]


def test_isolated_rows_leave_the_graph_of_the_others():
    x = table()
    usable = [0, 2, 3, 5, 7, 8]
    edge_index, similarity = knn_graph(x, 3, nan="isolate")
    want_index, want_similarity = knn_graph(x[usable], 3)
    assert torch.equal(edge_index, torch.tensor(usable)[want_index])
    assert torch.equal(similarity, want_similarity)


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
@pytest.mark.parametrize("backend", ["torch", "faiss"])
def test_collapsed_copies_leave_the_graph_of_the_distinct_rows(metric, backend):
    if backend == "faiss":
        pytest.importorskip("faiss", reason="this way of searching is FAISS itself")
    options = {"metric": metric, "backend": backend}
    x = table()
    distinct = [0, 2, 8]
    edge_index, similarity = knn_graph(
        x, 3, nan="isolate", duplicates="collapse", **options
    )
    want_index, want_similarity = knn_graph(x[distinct], 3, **options)
    assert torch.equal(edge_index, torch.tensor(distinct)[want_index])
    assert torch.equal(similarity, want_similarity)


def test_a_refused_row_and_unknown_policies_are_named():
    with pytest.raises(ValueError, match="finite: row 4 holds NaN or infinity"):
        usable_rows(table())
    with pytest.raises(ValueError, match=r"nan must be one of .* \(got 'drop'\)"):
        usable_rows(table(), nan="drop")
    with pytest.raises(ValueError, match=r"duplicates must be .* \(got 'no'\)"):
        usable_rows(table(), duplicates="no")
