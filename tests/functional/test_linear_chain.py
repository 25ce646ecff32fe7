from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmgraph.functional.linear_chain import chained_linear


@pytest.mark.parametrize("width", [4, 200])  # the direct and the composed order
def test_values_and_all_gradients_equal_the_wide_product(width):
    half = width // 2
    x = torch.randn(50, 30, dtype=torch.float64)
    leaves = [
        torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        for shape in [(width, 30), (width,), (7, width), (7,), (3, half), (2, half)]
    ]
    w, b, a_1, c_1, a_2, a_3 = leaves
    consumers = [
        (slice(None), a_1, c_1),
        (slice(0, half), a_2, None),
        (slice(half, None), a_3, None),
    ]
    outputs = chained_linear(x, w, b, consumers)
    wide = F.linear(x, w, b)
    expected = [
        F.linear(wide, a_1, c_1),
        F.linear(wide[:, :half], a_2),
        F.linear(wide[:, half:], a_3),
    ]
    for y, e in zip(outputs, expected, strict=True):
        torch.testing.assert_close(y, e, rtol=1e-10, atol=1e-10)
    grads = torch.autograd.grad(sum(y.square().sum() for y in outputs), leaves)
    expected = torch.autograd.grad(sum(y.square().sum() for y in expected), leaves)
    for g, e in zip(grads, expected, strict=True):
        torch.testing.assert_close(g, e, rtol=1e-10, atol=1e-10)


def test_the_wide_product_is_not_made_when_it_costs_more(monkeypatch):
    shapes = []
    linear = F.linear
    monkeypatch.setattr(
        F,
        "linear",
        lambda x, w, b=None: shapes.append(tuple(w.shape)) or linear(x, w, b),
    )
    x = torch.randn(1000, 40)
    consumers = [(slice(None), torch.randn(5, 400), None)]
    chained_linear(x, torch.randn(400, 40), torch.zeros(400), consumers)
    assert shapes == [(5, 40)]


def test_without_readers_there_is_nothing_to_do():
    assert chained_linear(torch.ones(2, 3), torch.ones(4, 3), torch.zeros(4), []) == []
