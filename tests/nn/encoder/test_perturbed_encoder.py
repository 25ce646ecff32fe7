from __future__ import annotations

import pytest
import torch

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.nn.encoder import LightGCNEncoder, PerturbedEncoder

NUM_NODES = 6


@pytest.fixture
def graph():
    """The last node has no edge."""
    edge_index = torch.tensor([[0, 1, 2, 0, 1], [3, 3, 4, 4, 2]])
    edge_index = torch.cat([edge_index, edge_index.flip(0)], dim=1)
    weight = torch.rand(5).double().repeat(2)
    matrix = torch.zeros(NUM_NODES, NUM_NODES).double()
    for (a, b), w in zip(edge_index.T.tolist(), weight, strict=True):
        matrix[b, a] = w
    return Adjacency.from_edge_index(edge_index, weight, num_src=NUM_NODES), matrix


def test_values_and_gradients_equal_a_dense_reference(graph):
    adjacency, matrix = graph
    x = torch.randn(NUM_NODES, 3).double().requires_grad_()
    torch.manual_seed(4)
    out = PerturbedEncoder(num_layers=2, scale=0.3)(x, adjacency)
    torch.manual_seed(4)
    total, layer = x, x
    for _ in range(2):
        layer = matrix @ layer
        noise = torch.rand(NUM_NODES, 3, dtype=torch.float64)
        noise = noise / (noise**2).sum(dim=1, keepdim=True).sqrt()
        sign = (layer.detach() > 0).double() - (layer.detach() < 0).double()
        layer = layer + 0.3 * sign * noise
        total = total + layer
    torch.testing.assert_close(out, total, rtol=1e-12, atol=1e-14)
    upstream = torch.randn_like(out)
    mine, other = (torch.autograd.grad(y, x, upstream)[0] for y in (out, total))
    torch.testing.assert_close(mine, other, rtol=1e-11, atol=1e-14)


def test_noise_has_its_length_and_never_changes_a_sign(graph):
    adjacency, matrix = graph
    x = torch.randn(NUM_NODES, 8).double()
    step = PerturbedEncoder(num_layers=1, scale=0.2)(x, adjacency) - x
    noise = step - matrix @ x
    expected = torch.tensor([0.2] * 5 + [0.0], dtype=torch.float64)  # no edge, no push
    torch.testing.assert_close(noise.norm(dim=1), expected, rtol=1e-10, atol=1e-14)
    assert torch.equal(step.sign(), (matrix @ x).sign())


def test_without_noise_it_is_the_plain_encoder(graph):
    adjacency, _ = graph
    x = torch.randn(NUM_NODES, 3).double()
    plain = LightGCNEncoder(2, readout="sum")(x, adjacency)
    for encoder in (PerturbedEncoder(2, 0.0), PerturbedEncoder(2, 0.5).eval()):
        torch.testing.assert_close(encoder(x, adjacency), plain, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [((-1,), r"'num_layers'.*\(got -1\)"), ((1, -0.5), r"'scale'.*\(got -0.5\)")],
)
def test_negative_numbers_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PerturbedEncoder(*options)
