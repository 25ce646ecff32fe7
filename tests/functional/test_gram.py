from __future__ import annotations

import pytest
import torch

from mmgraph.functional.gram import gram


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_value_and_gradient_are_those_of_the_product(columns):
    x = torch.randn(7, columns, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(columns, columns, dtype=torch.float64)  # not symmetric
    torch.testing.assert_close(gram(x), x.T @ x)
    (actual,) = torch.autograd.grad((gram(x) * weight).sum(), x)
    (expected,) = torch.autograd.grad((x.T @ x * weight).sum(), x)
    torch.testing.assert_close(actual, expected)


def test_there_is_no_second_derivative():
    x = torch.randn(7, 3, requires_grad=True)
    (grad,) = torch.autograd.grad(gram(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()
