from __future__ import annotations

import torch

from mmgraph.functional import root_norm, root_norm_graphs

EDGES = torch.tensor([[0, 0, 0, 1, 3], [2, 0, 1, 2, 2]])


def test_a_weight_is_one_over_the_root_of_the_targets_degree():
    expected = torch.tensor([3.0, 1.0, 1.0, 3.0, 3.0]) ** -0.5
    torch.testing.assert_close(root_norm(EDGES, 5), expected)


def test_both_graphs_equal_the_dense_formula_and_isolated_nodes_get_nothing():
    matrix = torch.zeros(4, 5, dtype=torch.float64)
    matrix[tuple(EDGES)] = 1.0
    to_user, to_item = root_norm_graphs(EDGES, 4, 5)
    user, item = (torch.randn(n, 2, dtype=torch.float64) for n in (4, 5))
    for graph, x, dense in ((to_user, item, matrix), (to_item, user, matrix.T)):
        scale = dense.sum(1).sqrt().clamp(min=1)
        expected = (dense @ x) / scale[:, None]
        torch.testing.assert_close(graph.matmul(x), expected, rtol=1e-6, atol=1e-7)


def test_no_edges_at_all():
    to_user, to_item = root_norm_graphs(torch.empty(2, 0).long(), 4, 5)
    assert torch.equal(to_user.matmul(torch.ones(5, 1)), torch.zeros(4, 1))
    assert torch.equal(to_item.matmul(torch.ones(4, 1)), torch.zeros(5, 1))
