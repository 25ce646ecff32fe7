from __future__ import annotations

import pytest
import torch

from mmgraph.knn import knn_graph, symmetrise
from mmgraph.knn.verify import wrong_rows


def table():
    x = torch.randint(-2, 3, (30, 3)).float()
    x[3] = 0
    x[8, 1] = torch.nan
    return x


POLICIES = {"nan": "isolate", "duplicates": "collapse"}


@pytest.mark.parametrize("how", ["none", "union", "mutual"])
@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_built_graphs_are_right(metric, how):
    x = table()
    for policies in ({"nan": "isolate"}, POLICIES):
        graph = knn_graph(x, 4, metric=metric, **policies)
        graph = symmetrise(*graph, 30, how)
        found = wrong_rows(*graph, x, 4, metric=metric, symmetrised=how, **policies)
        assert found.tolist() == []


def test_each_kind_of_fault_is_found():
    x = torch.randn(20, 4)
    edge_index, similarity = knn_graph(x, 3)

    def broken(change):
        index, value = edge_index.clone(), similarity.clone()
        changed = change(index, value)
        return wrong_rows(*(changed or (index, value)), x, 3).tolist()

    def swapped(index, value):
        index[0, [6, 7]] = index[0, [7, 6]]

    def one_bit(index, value):
        value[30] = value[30].nextafter(torch.tensor(2.0))

    def dropped(index, value):
        return index[:, 1:], value[1:]

    def out_of_order(index, value):
        order = [3, 4, 5, 0, 1, 2, *range(6, 60)]
        return index[:, order], value[order]

    def outside(index, value):
        index[0, 15] = 20

    assert broken(swapped) == [2]
    assert broken(one_bit) == [10]
    assert broken(dropped) == [0]
    assert broken(out_of_order) == [0]
    assert broken(outside) == [5]


def test_only_the_rows_asked_for_are_recomputed():
    x = torch.randn(20, 4)
    edge_index, similarity = knn_graph(x, 3)
    edge_index[0, 6] = edge_index[0, 7]
    rows = torch.tensor([5, 2, 9])
    assert wrong_rows(edge_index, similarity, x, 3, rows=rows).tolist() == [2]
    rows = torch.tensor([3, 4])
    assert wrong_rows(edge_index, similarity, x, 3, rows=rows).tolist() == []
