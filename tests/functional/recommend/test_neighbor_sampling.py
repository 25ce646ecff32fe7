from __future__ import annotations

from itertools import combinations

import pytest
import torch

from mmgraph.functional import Adjacency
from mmgraph.functional.recommend.neighbor_sampling import (
    ALL,
    draw_entries,
    sample_neighbors,
)


def random_graph(num_users=7, num_items=9, num_edges=30):
    pairs = torch.randperm(num_users * num_items)[:num_edges]
    edges = torch.stack([pairs // num_items, pairs % num_items])
    return Adjacency.user_item(edges, num_users, num_items)


@pytest.mark.parametrize("layers", [0, 1, 2, 3, 4])
def test_all_neighbours_are_the_whole_graph_in_value_and_gradient(layers):
    graph = random_graph()
    x = torch.randn(16, 5, requires_grad=True)
    nodes = torch.tensor([3, 11, 3, 0])
    sampled = sample_neighbors(graph, nodes, [ALL] * layers)
    found = sampled.power_sum(x[sampled.nodes], 1 / (layers + 1))
    wanted = graph.power_sum(x, layers, 1 / (layers + 1))[nodes]
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)
    g = torch.randn_like(found)
    gradients = [torch.autograd.grad(z, x, g)[0] for z in (found, wanted)]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-6)


def test_as_many_as_there_are_is_all():
    graph = random_graph()
    nodes = torch.arange(16)
    x = torch.randn(16, 5)
    sampled = sample_neighbors(graph, nodes, [9, 9, 9])
    wanted = graph.power_sum(x, 3)
    found = sampled.power_sum(x[sampled.nodes])
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("num_neighbors", [[1], [1, 2, 1]])
def test_the_expected_value_is_that_of_the_whole_graph(num_neighbors):
    """Three hops come back to where they were, over an edge that was drawn before."""
    graph = random_graph()
    x = torch.randn(16, 2, dtype=torch.double)
    graph = Adjacency(graph.rowptr, graph.col, graph.weight.double(), graph.num_src)
    nodes = torch.tensor([0, 5, 10, 14])
    draws = []
    for _ in range(2000):
        sampled = sample_neighbors(graph, nodes, num_neighbors)
        draws.append(sampled.power_sum(x[sampled.nodes]))
    values = torch.stack(draws)
    error = values.mean(0) - graph.power_sum(x, len(num_neighbors))[nodes]
    standard_error = values.std(0) / len(values) ** 0.5
    assert values.std(0).max() > 0.1  # there is something to average
    assert (error.abs() <= 4.5 * standard_error + 1e-12).all()


def test_every_set_of_neighbours_is_drawn_alike():
    rowptr = torch.tensor([0, 2, 7])
    counts = dict.fromkeys(combinations(range(2, 7), 3), 0)
    rows = torch.ones(5000, dtype=torch.long)
    starts, entry, scale = draw_entries(rowptr, rows, 3)
    assert torch.equal(starts, torch.arange(0, 15001, 3))
    assert scale.unique().tolist() == [5 / 3]
    for drawn in entry.view(-1, 3).sort(dim=1).values.tolist():
        counts[tuple(drawn)] += 1
    assert len(counts) == 10  # 500 of each are expected
    chi_square = sum((n - 500) ** 2 / 500 for n in counts.values())
    assert chi_square < 27.9  # exceeded by chance once in a thousand


def test_rows_that_have_few_or_none_keep_what_they_have():
    rowptr = torch.tensor([0, 0, 2, 3])
    starts, entry, scale = draw_entries(rowptr, torch.tensor([2, 0, 1, 0]), 2)
    assert starts.tolist() == [0, 1, 1, 3, 3]
    assert entry.tolist() == [2, 0, 1]
    assert scale.tolist() == [1, 1, 1]


def test_the_same_generator_draws_the_same():
    graph = random_graph()
    sampled = [
        sample_neighbors(
            graph, torch.arange(9), [2, 1], torch.Generator().manual_seed(7)
        )
        for _ in range(2)
    ]
    assert torch.equal(sampled[0].nodes, sampled[1].nodes)
    for one, other in zip(*(s.blocks for s in sampled), strict=True):
        assert torch.equal(one.col, other.col)


def test_no_more_than_the_neighbourhood_is_touched():
    graph = random_graph(500, 500, 4000)
    sampled = sample_neighbors(graph, torch.arange(3), [4, 2])
    assert len(sampled.nodes) <= 3 + 3 * 4 + (3 + 12) * 2
    assert sampled.blocks[0].num_dst == 3
    assert all(block.rowptr.diff().max() <= 4 for block in sampled.blocks)
