from __future__ import annotations

import torch
from torch_geometric.testing import assert_module

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.nn.conv import WeightedSumConv


def dense_product(edge_index, weight, x, num_dst):
    out = torch.zeros(num_dst, x.size(1), dtype=x.dtype)
    for s, d, w in zip(*edge_index.tolist(), weight, strict=True):
        out[d] += w * x[s]
    return out


def test_three_routes_give_the_same_values_and_gradients():
    edge_index = torch.unique(torch.randint(9, (2, 40)), dim=1)
    weight = torch.randn(edge_index.size(1), dtype=torch.float64, requires_grad=True)
    adj = Adjacency.from_edge_index(edge_index, weight, num_src=9)
    x = torch.randn(9, 4, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(9, 4, dtype=torch.float64)
    conv = WeightedSumConv()
    outputs = [
        conv(x, edge_index, weight),
        conv(x, adj),
        dense_product(edge_index, weight, x, 9),
    ]
    grads = [torch.autograd.grad(y, (x, weight), upstream) for y in outputs]
    for y, grad in zip(outputs[1:], grads[1:], strict=True):
        torch.testing.assert_close(y, outputs[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(grad, grads[0], rtol=0, atol=1e-12)


def test_is_an_ordinary_pyg_layer():
    x = torch.randn(4, 8)
    edge_index = torch.tensor([[0, 1, 2, 3], [0, 0, 1, 1]])
    assert_module(WeightedSumConv(), x, edge_index, expected_size=(4, 8))


def test_repr():
    assert repr(WeightedSumConv()) == "WeightedSumConv()"
