from __future__ import annotations

import pytest
import torch

from mmgraph.functional.normalize import mean_norm, stack_user_item, symmetric_norm


def random_edges(num_src, num_dst, num_edges):
    pairs = torch.randperm(num_src * num_dst)[:num_edges]
    return torch.stack([pairs // num_dst, pairs % num_dst])


def dense(edge_index, weight, num_src, num_dst):
    matrix = torch.zeros(num_dst, num_src, dtype=weight.dtype)
    for s, d, w in zip(*edge_index.tolist(), weight.tolist(), strict=True):
        matrix[d, s] += w
    return matrix


def test_symmetric_norm_equals_the_dense_formula():
    edge_index = stack_user_item(random_edges(7, 9, 30), 7)
    adjacency = dense(edge_index, torch.ones(60, dtype=torch.float64), 16, 16)
    degree = adjacency.sum(1)
    scale = torch.where(degree > 0, degree.pow(-0.5), 0)
    expected = scale[:, None] * adjacency * scale
    weight = symmetric_norm(edge_index, 16, edge_weight=torch.ones(60).double())
    torch.testing.assert_close(
        dense(edge_index, weight, 16, 16), expected, rtol=0, atol=1e-14
    )


def test_symmetric_norm_of_a_bipartite_block_is_that_of_the_stacked_graph():
    edges = random_edges(7, 9, 30)
    block = symmetric_norm(edges, 7, 9)
    stacked = symmetric_norm(stack_user_item(edges, 7), 16)
    assert torch.equal(stacked, torch.cat([block, block]))


def test_weights_are_normalised_by_their_own_sums():
    edge_index = torch.tensor([[0, 1, 1], [0, 0, 1]])
    weight = torch.tensor([2.0, 6.0, 2.0])
    # out-sums 2, 8; in-sums 8, 2
    expected = torch.tensor([2 / 4, 6 / 8, 2 / 4])
    torch.testing.assert_close(symmetric_norm(edge_index, 2, 2, weight), expected)


def test_isolated_nodes_give_no_weight_and_no_nan():
    weight = symmetric_norm(torch.tensor([[0], [1]]), 5)
    assert torch.equal(weight, torch.ones(1))


def test_mean_norm_rows_sum_to_one():
    edge_index = random_edges(6, 8, 25)
    matrix = dense(edge_index, mean_norm(edge_index, 8), 6, 8)
    has_edge = torch.bincount(edge_index[1], minlength=8) > 0
    torch.testing.assert_close(matrix.sum(1), has_edge.float())


@pytest.mark.parametrize("num_users", [1, 4])
def test_stacked_edges_go_both_ways(num_users):
    stacked = stack_user_item(random_edges(num_users, 5, 3), num_users)
    forward = set(zip(*stacked.tolist(), strict=True))
    assert forward == {(b, a) for a, b in forward}
    assert len(forward) == 6
