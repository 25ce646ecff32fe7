"""Unit rows against torch's normalize."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmgraph.functional.block_sizes import REFINED_ROWS
from mmgraph.functional.unit_rows import unit_rows


@pytest.mark.parametrize("rows", [1, REFINED_ROWS.cpu, REFINED_ROWS.cpu + 3])
def test_values_and_gradients_equal_normalize(rows: int) -> None:
    torch.manual_seed(0)
    x, grad = torch.randn(rows, 5).double(), torch.randn(rows, 5).double()
    results = []
    for function in (unit_rows, lambda z: F.normalize(z, eps=1e-12)):
        z = x.clone().requires_grad_()
        y = function(z)
        y.backward(grad)
        results.append((y.detach(), z.grad))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("scale", [0.0, 1e-15])
def test_rows_without_length(scale: float) -> None:
    x = scale * torch.ones(2, 3, dtype=torch.float64)
    results = []
    for function in (unit_rows, lambda z: F.normalize(z, eps=1e-12)):
        z = x.clone().requires_grad_()
        y = function(z)
        y.sum().backward()
        results.append((y.detach(), z.grad))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


def test_gradients_by_finite_differences() -> None:
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(unit_rows, x)


def test_only_matrices() -> None:
    with pytest.raises(ValueError, match=r"'x' must be a matrix \(got \[2\]\)"):
        unit_rows(torch.ones(2))
