from __future__ import annotations

import torch

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.normalize import stack_user_item, symmetric_norm
from mmgraph.nn.conv import BipartiteConv, LightGCNConv


def edges():
    return torch.unique(
        torch.stack([torch.randint(6, (25,)), torch.randint(8, (25,))]), dim=1
    )


def test_a_pair_equals_the_stacked_graph():
    user_item = edges()
    x_user, x_item = torch.randn(6, 3), torch.randn(8, 3)
    conv = BipartiteConv()
    to_item = conv(x_user, user_item, 8)
    to_user = conv(x_item, user_item.flip(0), 6)
    stacked = LightGCNConv()(torch.cat([x_user, x_item]), stack_user_item(user_item, 6))
    torch.testing.assert_close(torch.cat([to_user, to_item]), stacked)


def test_prepared_graph_gives_the_same_values_and_gradients():
    user_item = edges()
    weight = symmetric_norm(user_item, 6, 8)
    adj = Adjacency.from_edge_index(user_item, weight, num_src=6, num_dst=8)
    x = torch.randn(6, 3, requires_grad=True)
    conv = BipartiteConv()
    plain, fused = conv(x, user_item, 8), conv(x, adj, 8)
    upstream = torch.randn(8, 3)
    torch.testing.assert_close(fused, plain)
    torch.testing.assert_close(
        torch.autograd.grad(fused, x, upstream)[0],
        torch.autograd.grad(plain, x, upstream)[0],
    )


def test_given_weights_replace_the_formula():
    y = BipartiteConv()(
        torch.ones(2, 1), torch.tensor([[0, 1], [0, 0]]), 1, torch.tensor([2.0, 3.0])
    )
    assert y.item() == 5.0


def test_repr():
    assert repr(BipartiteConv()) == "BipartiteConv()"
