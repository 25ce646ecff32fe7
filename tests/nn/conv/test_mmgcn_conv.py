from __future__ import annotations

import pytest
import torch

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.normalize import mean_norm
from mmgraph.nn.conv import MMGCNConv

# Node 3 has no neighbours.
EDGES = torch.tensor([[1, 2, 0, 2, 0], [0, 0, 1, 1, 2]])


def leaky(x):
    return torch.where(x > 0, x, 0.01 * x)


def one_by_one(conv, x, shared):
    rows = []
    for v in range(4):
        neighbors = EDGES[0, EDGES[1] == v].tolist()
        mean = sum(x[w] for w in neighbors) / max(len(neighbors), 1) + 0 * x[v]
        h = leaky(conv.lin_neighbors.weight @ mean)
        own = leaky(conv.lin_self.weight @ x[v] + conv.lin_self.bias) + shared[v]
        weight, bias = conv.lin_out.weight, conv.lin_out.bias
        if conv.combine == "concat":
            rows.append(leaky(weight @ torch.cat([h, own]) + bias))
        else:
            rows.append(leaky(weight @ h + bias + own))
    return torch.stack(rows)


@pytest.mark.parametrize("combine", ["concat", "sum"])
def test_equals_the_formula_one_node_at_a_time(combine):
    conv = MMGCNConv(5, 3, combine).double()
    x, shared = torch.randn(4, 5).double(), torch.randn(4, 3).double()
    x.requires_grad_()
    shared.requires_grad_()
    out, expected = conv(x, shared, EDGES), one_by_one(conv, x, shared)
    torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-12)
    upstream = torch.randn_like(out)
    inputs = [x, shared, *conv.parameters()]
    got = torch.autograd.grad(out, inputs, upstream)
    wanted = torch.autograd.grad(expected, inputs, upstream)
    for mine, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


def test_a_prepared_adjacency_gives_the_same():
    conv, x, shared = MMGCNConv(5, 3), torch.randn(4, 5), torch.randn(4, 3)
    adjacency = Adjacency.from_edge_index(EDGES, mean_norm(EDGES, 4), num_src=4)
    torch.testing.assert_close(conv(x, shared, adjacency), conv(x, shared, EDGES))


def test_given_weights_replace_those_of_the_mean():
    conv, x, shared = MMGCNConv(5, 3), torch.randn(4, 5), torch.randn(4, 3)
    zero = conv(x, shared, EDGES, torch.zeros(5))
    alone = conv(x, shared, EDGES[:, :0])
    torch.testing.assert_close(zero, alone)
    assert not torch.equal(zero, conv(x, shared, EDGES))


def test_feature_maps_start_xavier_normal():
    conv = MMGCNConv(300, 200)
    for linear, fan in ((conv.lin_neighbors, 600), (conv.lin_self, 500)):
        # 60 000 draws and more: the standard error of their deviation is 0.3 %.
        expected = (2 / fan) ** 0.5
        assert linear.weight.std().item() == pytest.approx(expected, rel=0.0145)
    assert conv.lin_out.weight.abs().max().item() <= 500**-0.5


def test_an_unknown_combination_is_refused():
    with pytest.raises(ValueError, match=r"must be one of .* \(got 'product'\)"):
        MMGCNConv(5, 3, "product")


@pytest.mark.parametrize("combine", ["concat", "sum"])
@pytest.mark.parametrize("sizes", [(3, 6), (6, 3)], ids=["few sources", "few targets"])
@pytest.mark.parametrize("targets", [None, [2, 0, 2]], ids=["all", "rows"])
def test_both_orders_of_map_and_mean_equal_the_formula(combine, sizes, targets):
    num_src, num_dst = sizes
    edges = torch.tensor([[0, 2, 1, 0], [0, 0, 1, 2]])
    conv = MMGCNConv(5, 3, combine).double()
    graph = Adjacency.from_edge_index(
        edges, mean_norm(edges, num_dst).double(), num_src=num_src, num_dst=num_dst
    )
    x_src, x = torch.randn(num_src, 5).double(), torch.randn(num_dst, 5).double()
    shared = torch.randn(num_dst, 3).double()
    rows = None if targets is None else torch.tensor(targets)
    out = conv((x_src, x), shared, graph, targets=rows)
    mean = torch.zeros(num_dst, 5).double()
    for src, dst in edges.T.tolist():
        mean[dst] += x_src[src] / (edges[1] == dst).sum()
    h = leaky(mean @ conv.lin_neighbors.weight.T)
    own = leaky(x @ conv.lin_self.weight.T + conv.lin_self.bias) + shared
    weight, bias = conv.lin_out.weight, conv.lin_out.bias
    if combine == "concat":
        expected = leaky(torch.cat([h, own], dim=1) @ weight.T + bias)
    else:
        expected = leaky(h @ weight.T + bias + own)
    expected = expected if rows is None else expected[rows]
    torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-12)
