from __future__ import annotations

import math

import pytest
import torch

from mmgraph.functional import (
    half_square_penalty,
    half_square_sum_penalty,
    mean_square_penalty,
    norm_penalty,
)


def total_square(x):
    return sum(value**2 for row in x.tolist() for value in row)


def three():
    return [torch.randn(n, 3, dtype=torch.float64) for n in (4, 4, 5)]


def test_norm_is_unsquared_over_the_rows_of_the_last():
    x = three()
    expected = sum(math.sqrt(total_square(rows)) for rows in x) / 5
    assert norm_penalty(*x).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_norm_gradient_has_the_same_size_at_any_scale(scale):
    x = (scale * torch.randn(8, 3, dtype=torch.float64)).requires_grad_()
    (grad,) = torch.autograd.grad(norm_penalty(x), x)
    assert grad.norm().item() == pytest.approx(1 / 8, rel=1e-12)


def test_norm_gradient_at_zero_is_zero():
    x = torch.zeros(2, 2, requires_grad=True)
    (grad,) = torch.autograd.grad(norm_penalty(x), x)
    assert torch.equal(grad, torch.zeros(2, 2))


def test_half_square_divides_by_a_constant():
    x = three()
    half = sum(total_square(rows) for rows in x) / 2
    assert half_square_sum_penalty(*x).item() == pytest.approx(half, rel=1e-12)
    actual = half_square_penalty(*x).item()
    assert actual == pytest.approx(half / 2048, rel=1e-12)
    actual = half_square_penalty(*x, batch_size=1024).item()
    assert actual == pytest.approx(half / 1024, rel=1e-12)


def test_mean_square_adds_the_means():
    x = three()
    expected = sum(total_square(rows) / rows.numel() for rows in x)
    actual = mean_square_penalty(*x).item()
    assert actual == pytest.approx(expected, rel=1e-12)


def test_a_penalty_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"^a penalty needs .* tensor \(got none\)"):
        norm_penalty()
