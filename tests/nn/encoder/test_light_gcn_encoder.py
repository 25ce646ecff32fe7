from __future__ import annotations

import pytest
import torch

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.normalize import stack_user_item, symmetric_norm
from mmgraph.nn.encoder import LightGCNEncoder

READOUTS = {
    "mean": lambda layers: sum(layers) / len(layers),
    "sum": sum,
    "last": lambda layers: layers[-1],
}


@pytest.fixture
def graph():
    """Stacked edges of 5 users and 6 items, and the dense normalised matrix."""
    edges = torch.tensor([[0, 0, 1, 2, 2, 3], [0, 5, 1, 1, 2, 5]])
    matrix = torch.zeros(11, 11, dtype=torch.float64)
    for u, i in edges.T.tolist():
        degree = (edges[0] == u).sum().item() * (edges[1] == i).sum().item()
        matrix[u, 5 + i] = matrix[5 + i, u] = degree**-0.5
    return stack_user_item(edges, 5), matrix


def prepared(edge_index, matrix):
    weight = matrix[edge_index[1], edge_index[0]]
    return Adjacency.from_edge_index(edge_index, weight, num_src=11)


@pytest.mark.parametrize("num_layers", [0, 1, 3])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("form", ["adjacency", "edge_index"])
def test_values_and_gradients_equal_dense_powers(graph, form, readout, num_layers):
    edge_index, matrix = graph
    x = torch.randn(11, 3, dtype=torch.float64, requires_grad=True)
    layers = [x]
    for _ in range(num_layers):
        layers.append(matrix @ layers[-1])
    expected = READOUTS[readout](layers)
    encoder = LightGCNEncoder(num_layers, readout)
    out = encoder(x, prepared(*graph) if form == "adjacency" else edge_index)
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-14)
    upstream = torch.randn_like(out)
    mine, other = (torch.autograd.grad(y, x, upstream)[0] for y in (out, expected))
    torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-14)


def test_an_asymmetric_graph_has_its_transpose_in_the_gradient():
    edge_index = torch.tensor([[0, 0, 1], [1, 2, 2]])
    weight = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64)
    matrix = torch.zeros(3, 3, dtype=torch.float64)
    matrix[edge_index[1], edge_index[0]] = weight
    adj = Adjacency.from_edge_index(edge_index, weight, num_src=3)
    x = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    out = LightGCNEncoder(2, "sum")(x, adj)
    upstream = torch.randn_like(out)
    (mine,) = torch.autograd.grad(out, x, upstream)
    total = torch.eye(3, dtype=torch.float64) + matrix + matrix @ matrix
    torch.testing.assert_close(mine, total.T @ upstream, rtol=1e-12, atol=1e-14)


def test_runs_on_the_device(graph, device):
    edge_index = graph[0].to(device)
    adj = Adjacency.from_edge_index(
        edge_index, symmetric_norm(edge_index, 11), num_src=11
    )
    x = torch.randn(11, 4, device=device)
    encoder = LightGCNEncoder(2).to(device)
    torch.testing.assert_close(encoder(x, adj), encoder(x, edge_index))


def test_has_no_parameters():
    assert not list(LightGCNEncoder(3).parameters())


def test_errors_name_the_value():
    with pytest.raises(ValueError, match=r"'num_layers' must be at least 0 \(got -1\)"):
        LightGCNEncoder(-1)
    with pytest.raises(ValueError, match=r"'readout' must be one of .* \(got 'max'\)"):
        LightGCNEncoder(1, "max")


def test_repr_shows_layers_and_readout():
    assert repr(LightGCNEncoder(2)) == "LightGCNEncoder(num_layers=2, readout='mean')"
