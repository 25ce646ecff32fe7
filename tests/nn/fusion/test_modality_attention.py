from __future__ import annotations

import math

import pytest
import torch

from mmgraph.nn.fusion import ModalityAttention


@pytest.mark.parametrize("num_modalities", [1, 2, 3])
def test_each_node_weighs_its_modalities_by_a_softmax(num_modalities):
    fusion = ModalityAttention(3).double()
    views = [torch.randn(4, 3, dtype=torch.float64) for _ in range(num_modalities)]
    out = fusion(views).tolist()
    w_1, b = fusion.first.weight.tolist(), fusion.first.bias.tolist()
    w_2 = fusion.second.weight[0].tolist()
    for node in range(4):
        q = []
        for view in views:
            h = view[node].tolist()
            hidden = [
                math.tanh(sum(w * v for w, v in zip(row, h, strict=True)) + c)
                for row, c in zip(w_1, b, strict=True)
            ]
            q.append(sum(w * v for w, v in zip(w_2, hidden, strict=True)))
        total = sum(map(math.exp, q))
        expected = [
            sum(
                math.exp(p) / total * view[node, d].item()
                for p, view in zip(q, views, strict=True)
            )
            for d in range(3)
        ]
        assert out[node] == pytest.approx(expected, rel=1e-12)


def test_parameters_are_two_matrices_and_one_bias():
    shapes = {k: tuple(v.shape) for k, v in ModalityAttention(5).named_parameters()}
    expected = {"first.weight": (5, 5), "first.bias": (5,), "second.weight": (1, 5)}
    assert shapes == expected


def test_weights_can_be_drawn_anew():
    fusion = ModalityAttention(5)
    before = [p.detach().clone() for p in fusion.parameters()]
    fusion.reset_parameters()
    pairs = zip(before, fusion.parameters(), strict=True)
    assert not any(torch.equal(a, b) for a, b in pairs)


def test_repr_shows_the_width():
    assert repr(ModalityAttention(5)) == "ModalityAttention(5)"
