from __future__ import annotations

import torch
from torch_geometric.nn import LGConv
from torch_geometric.testing import assert_module

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.normalize import stack_user_item, symmetric_norm
from mmgraph.nn.conv import LightGCNConv


def graph():
    edges = torch.unique(torch.randint(6, (2, 20)), dim=1)
    return stack_user_item(edges, 6)


def test_edge_index_prepared_graph_and_dense_matrix_agree():
    edge_index = graph()
    ones = torch.ones(edge_index.size(1), dtype=torch.float64)
    weight = symmetric_norm(edge_index, 12, edge_weight=ones)
    adj = Adjacency.from_edge_index(edge_index, weight, num_src=12)
    x = torch.randn(12, 5, dtype=torch.float64, requires_grad=True)
    matrix = torch.zeros(12, 12, dtype=torch.float64)
    matrix[edge_index[1], edge_index[0]] = 1.0
    scale = matrix.sum(1).clamp(min=1).pow(-0.5)
    dense = (scale[:, None] * matrix * scale) @ x
    upstream = torch.randn_like(dense)
    expected = torch.autograd.grad(dense, x, upstream)[0]
    for y in (LightGCNConv()(x, edge_index), LightGCNConv()(x, adj)):
        torch.testing.assert_close(y, dense, rtol=0, atol=1e-12)
        grad = torch.autograd.grad(y, x, upstream)[0]
        torch.testing.assert_close(grad, expected, rtol=0, atol=1e-12)


def test_equals_pyg_lgconv():
    edge_index, x = graph(), torch.randn(12, 5)
    torch.testing.assert_close(LightGCNConv()(x, edge_index), LGConv()(x, edge_index))


def test_weights_can_be_given_as_they_are():
    x = torch.randn(2, 3)
    edge_index = torch.tensor([[0], [1]])
    y = LightGCNConv(normalize=False)(x, edge_index, torch.tensor([0.5]))
    assert torch.equal(y[1], 0.5 * x[0])


def test_is_an_ordinary_pyg_layer():
    assert_module(LightGCNConv(), torch.randn(12, 5), graph(), expected_size=(12, 5))


def test_repr():
    assert repr(LightGCNConv()) == "LightGCNConv()"
