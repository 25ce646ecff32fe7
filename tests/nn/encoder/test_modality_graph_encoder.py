from __future__ import annotations

import pytest
import torch

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.nn.encoder import ModalityGraphEncoder

EDGES = torch.tensor([[0, 0, 1, 2], [3, 4, 4, 6]])  # 3 users, then 4 items


@pytest.fixture
def graph():
    matrix = torch.zeros(7, 7, dtype=torch.float64)
    for a, b in EDGES.T.tolist():
        degree = (EDGES[0] == a).sum().item() * (EDGES[1] == b).sum().item()
        matrix[a, b] = matrix[b, a] = degree**-0.5
    edge_index = torch.cat([EDGES, EDGES.flip(0)], dim=1)
    weight = matrix[edge_index[1], edge_index[0]]
    return Adjacency.from_edge_index(edge_index, weight, num_src=7), matrix


@pytest.mark.parametrize("num_layers", [0, 2])
def test_values_and_gradients_equal_a_dense_reference(graph, num_layers):
    adj, matrix = graph
    encoder = ModalityGraphEncoder(3, ["a", "b"], 2, num_layers).double()
    z = {m: torch.randn(4, 2).double().requires_grad_() for m in "ab"}
    out = encoder(z, adj)
    for m in "ab":
        x = torch.cat([encoder.preference[m], z[m]])
        x = x / (x**2).sum(dim=1, keepdim=True).sqrt()
        total, layer = x, x
        for _ in range(num_layers):
            layer = matrix @ layer
            total = total + layer
        torch.testing.assert_close(torch.cat(out[m]), total, rtol=1e-12, atol=1e-14)
        upstream = torch.randn_like(total)
        leaves = (encoder.preference[m], z[m])
        mine = torch.autograd.grad(torch.cat(out[m]), leaves, upstream)
        other = torch.autograd.grad(total, leaves, upstream)
        for a, b in zip(mine, other, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-13)


def test_users_come_first_and_modalities_do_not_mix(graph):
    adj, _ = graph
    encoder = ModalityGraphEncoder(3, ["a", "b"], 2, 2).double()
    z = {m: torch.randn(4, 2).double() for m in "ab"}
    out = encoder(z, adj)
    assert [part.size(0) for part in out["a"]] == [3, 4]
    other = encoder({"a": z["a"], "b": z["b"] + 1}, adj)
    assert all(map(torch.equal, out["a"], other["a"]))
    assert not torch.equal(out["b"][1], other["b"][1])


def test_a_zero_row_stays_zero_and_has_a_finite_gradient(graph):
    adj, _ = graph
    encoder = ModalityGraphEncoder(3, ["a"], 2, 0).double()
    z = torch.zeros(4, 2).double().requires_grad_()
    out = encoder({"a": z}, adj)["a"][1]
    assert not out.any()
    out.sum().backward()
    assert z.grad.isfinite().all()


def test_preferences_start_xavier_normal():
    encoder = ModalityGraphEncoder(2000, ["a", "b"], 64, 2)
    expected = (2 / 2064) ** 0.5
    for table in encoder.preference.values():
        # 128 000 draws: the standard error of their deviation is 0.2 %.
        assert table.std().item() == pytest.approx(expected, rel=0.01)
    assert not torch.equal(encoder.preference["a"], encoder.preference["b"])


def test_repr_shows_modalities_and_layers():
    text = "ModalityGraphEncoder(['a', 'b'], num_layers=2)"
    assert repr(ModalityGraphEncoder(3, ["a", "b"], 2, 2)) == text
