from __future__ import annotations

import math

import pytest
import torch

from mmgraph.functional import bootstrap_loss


def test_it_is_the_mean_cosine_distance_of_matching_rows():
    x, y = torch.randn(2, 7, 5, dtype=torch.float64).tolist()
    total = 0.0
    for a, b in zip(x, y, strict=True):
        inner = sum(p * q for p, q in zip(a, b, strict=True))
        total += 1 - inner / (math.hypot(*a) * math.hypot(*b))
    loss = bootstrap_loss(
        torch.tensor(x, dtype=torch.float64), torch.tensor(y, dtype=torch.float64)
    )
    assert loss.item() == pytest.approx(total / 7, rel=1e-12)


def test_the_gradient_stops_at_the_target():
    x, y = torch.randn(2, 4, 3, dtype=torch.float64)
    x.requires_grad_(), y.requires_grad_()
    bootstrap_loss(x, y).backward()
    assert y.grad is None
    # The gradient of a cosine is orthogonal to its argument and scaled by its length.
    for row, grad, target in zip(x.detach(), x.grad, y.detach(), strict=True):
        unit = row / row.norm()
        across = target / target.norm()
        across = across - (across @ unit) * unit
        torch.testing.assert_close(grad, -across / row.norm() / 4)


def test_parallel_rows_cost_nothing_and_opposite_rows_two():
    x = torch.randn(3, 4, dtype=torch.float64)
    assert bootstrap_loss(x, 3 * x).item() == pytest.approx(0.0, abs=1e-12)
    assert bootstrap_loss(x, -x).item() == pytest.approx(2.0, rel=1e-12)
