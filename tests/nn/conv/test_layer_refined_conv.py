from __future__ import annotations

import torch

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.normalize import stack_user_item, symmetric_norm
from mmgraph.nn.conv import LayerRefinedConv


def test_equals_a_loop_over_nodes_on_both_paths():
    edge_index = stack_user_item(torch.unique(torch.randint(5, (2, 14)), dim=1), 5)
    weight = symmetric_norm(edge_index, 10)
    adj = Adjacency.from_edge_index(edge_index, weight, num_src=10)
    x, x_0 = torch.randn(10, 4), torch.randn(10, 4)
    expected = torch.zeros(10, 4)
    for node in range(10):
        y = torch.zeros(4)
        for (s, d), w in zip(edge_index.T.tolist(), weight, strict=True):
            if d == node:
                y += w * x[s]
        norm = y.norm() * x_0[node].norm()
        expected[node] = (y @ x_0[node] / norm if norm > 0 else 0) * y
    conv = LayerRefinedConv()
    torch.testing.assert_close(conv(x, x_0, edge_index), expected)
    torch.testing.assert_close(conv(x, x_0, adj), expected)


def test_a_node_without_neighbours_gets_zero():
    x = torch.randn(3, 2)
    y = LayerRefinedConv()(x, x, torch.tensor([[0], [1]]))
    assert torch.equal(y[2], torch.zeros(2))


def test_repr():
    assert repr(LayerRefinedConv()) == "LayerRefinedConv()"
