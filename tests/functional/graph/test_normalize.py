from __future__ import annotations

import pytest
import torch

from mmgraph.functional.graph.normalize import (
    mean_norm,
    row_sum_norm,
    stack_user_item,
    symmetric_norm,
)


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


def test_row_sum_norm_equals_the_dense_formula_with_its_gradient():
    edge_index = random_edges(6, 6, 20)
    weight = torch.rand(20, dtype=torch.float64, requires_grad=True)
    matrix = torch.zeros(6, 6, dtype=torch.float64)
    matrix = matrix.index_put((edge_index[1], edge_index[0]), weight)
    sums = matrix.sum(dim=1)
    assert (sums > 0).all()
    expected = (matrix / (sums[:, None] * sums).sqrt())[edge_index[1], edge_index[0]]
    out, upstream = row_sum_norm(edge_index, weight, 6), torch.randn(20).double()
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=0)
    mine, reference = (
        torch.autograd.grad(y, weight, upstream)[0] for y in (out, expected)
    )
    torch.testing.assert_close(mine, reference, rtol=1e-10, atol=1e-12)


def test_row_sum_norm_gives_nothing_where_a_sum_is_not_positive():
    # The sums are 4, -1, 0 (a list whose entries cancel) and 0 (no list at all).
    edge_index = torch.tensor([[0, 1, 2, 3, 1, 0, 1], [0, 0, 0, 0, 1, 2, 2]])
    weight = torch.tensor([1.0, 1.0, 1.0, 1.0, -1.0, 2.0, -2.0], requires_grad=True)
    out = row_sum_norm(edge_index, weight, 4)
    assert out.tolist() == [0.25, 0, 0, 0, 0, 0, 0]
    assert torch.autograd.grad(out.sum(), weight)[0].isfinite().all()
