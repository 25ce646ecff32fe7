from __future__ import annotations

import pytest
import torch

from mmgraph.functional.block_sizes import BlockSize
from mmgraph.knn import knn_graph
from mmgraph.knn.metric.self_products import self_products
from mmgraph.knn.rows.matrix_statistics import matrix_statistics
from mmgraph.knn.rows.row_groups import RowGroups
from mmgraph.knn.search import exact_neighbours as module
from mmgraph.knn.search.exact_neighbours import exact_neighbours, rank_all

METRICS = ["cosine", "ip", "l2"]


def prepared(x, metric, row=None):
    products = self_products(x, matrix_statistics(x, metric), metric, row)
    return products, RowGroups.of(torch.arange(len(products)), products.row)


@pytest.mark.parametrize("metric", METRICS)
def test_chosen_rows_are_those_of_a_smaller_matrix(metric):
    x = torch.randn(30, 5)
    row = torch.tensor([1, 2, 4, 8, 9, 16, 25, 29])
    alone, own_groups = prepared(x[row], metric)
    part = self_products(x, matrix_statistics(x, metric), metric, row)
    if metric == "l2":  # another centre, the same distances
        order = part.full_scores(torch.arange(8)).argsort(1)
        assert torch.equal(order, alone.full_scores(torch.arange(8)).argsort(1))
    else:
        some = torch.tensor([5, 0])
        assert torch.equal(part.rows(2, 6), alone.rows(2, 6))
        assert torch.equal(part.full_scores(some), alone.full_scores(some))
    got = exact_neighbours(part, RowGroups.of(torch.arange(8), row), 4)
    want = exact_neighbours(alone, own_groups, 4)
    assert torch.equal(got.neighbour, row[want.neighbour])
    assert torch.equal(got.score, want.score)


@pytest.mark.parametrize("metric", METRICS)
def test_neighbours_of_a_few_centres_are_those_of_all(metric, monkeypatch):
    monkeypatch.setattr(module, "TIED_SCORES", BlockSize(90, 90))  # three centres
    x = torch.randint(-2, 3, (30, 4)).float() + 0.5
    x[17] = x[21]
    products, _ = prepared(x, metric)
    groups = RowGroups.find(x, torch.arange(30))
    products = self_products(x, matrix_statistics(x, metric), metric, groups.first)
    want = exact_neighbours(products, groups, 4)
    edge_index, similarity = knn_graph(x, 4, metric=metric, include_self=True)
    assert torch.equal(want.neighbour[groups.group], edge_index[0].view(30, 4))
    assert torch.equal(want.score[groups.group], similarity.view(30, 4))
    centre = torch.tensor([0, 3, 4, 9, 10, 17, 20, 21])
    got = rank_all(centre, products, groups, 4)
    assert torch.equal(got.neighbour, want.neighbour[centre])
    assert torch.equal(got.score, want.score[centre])
    assert rank_all(centre[:0], products, groups, 4).neighbour.shape == (0, 4)


def test_pieces_of_pairs_change_nothing(monkeypatch):
    x = torch.randn(60, 3)
    products, groups = prepared(x, "cosine")
    want = exact_neighbours(products, groups, 5)
    monkeypatch.setattr(module, "CANDIDATE_PAIRS", BlockSize(40, 40))
    got = exact_neighbours(products, groups, 5, block_size=7)
    assert torch.equal(got.neighbour, want.neighbour)
    assert torch.equal(got.score, want.score)
