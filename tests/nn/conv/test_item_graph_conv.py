from __future__ import annotations

import pytest
import torch
from torch_geometric.testing import assert_module

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.nn.conv import ItemGraphConv


@pytest.mark.parametrize("num_layers", [0, 1, 3])
def test_equals_the_matrix_power_on_both_paths(num_layers):
    edge_index = torch.unique(torch.randint(7, (2, 20)), dim=1)
    weight = torch.rand(edge_index.size(1), dtype=torch.float64)
    matrix = torch.zeros(7, 7, dtype=torch.float64)
    matrix[edge_index[1], edge_index[0]] = weight
    x = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    expected = torch.linalg.matrix_power(matrix, num_layers) @ x
    adj = Adjacency.from_edge_index(edge_index, weight, num_src=7)
    conv = ItemGraphConv(num_layers)
    upstream = torch.randn_like(expected)
    grad = torch.autograd.grad(expected, x, upstream)[0]
    for y in (conv(x, edge_index, weight), conv(x, adj)):
        torch.testing.assert_close(y, expected, rtol=0, atol=1e-10)
        if num_layers:
            torch.testing.assert_close(
                torch.autograd.grad(y, x, upstream)[0], grad, rtol=0, atol=1e-10
            )


def test_is_an_ordinary_pyg_layer():
    x, edge_index = torch.randn(4, 8), torch.tensor([[0, 1, 2, 3], [0, 0, 1, 1]])
    assert_module(ItemGraphConv(), x, edge_index, expected_size=(4, 8))


def test_negative_depth_is_refused():
    with pytest.raises(
        ValueError, match=r"ItemGraphConv: 'num_layers' must be at least 0"
    ):
        ItemGraphConv(-1)


def test_repr():
    assert repr(ItemGraphConv(2)) == "ItemGraphConv(num_layers=2)"
