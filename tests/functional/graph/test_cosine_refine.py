from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmgraph.functional.graph.cosine_refine import cosine_refine


def composed(y, x_0):
    return F.cosine_similarity(y, x_0, dim=-1, eps=1e-8).unsqueeze(-1) * y


@pytest.mark.parametrize("num_rows", [1, 7, 1024, 2500])
def test_equals_the_composition_of_tensor_operations(num_rows):
    torch.manual_seed(0)
    tables = torch.randn(2, num_rows, 5, dtype=torch.float64)
    y, x_0 = (table.clone().requires_grad_() for table in tables)
    weight = torch.randn(num_rows, 5, dtype=torch.float64)
    ours, theirs = cosine_refine(y, x_0), composed(y, x_0)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)
    for a, b in zip(
        torch.autograd.grad(ours, (y, x_0), weight),
        torch.autograd.grad(theirs, (y, x_0), weight),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_gradient_is_that_of_finite_differences():
    torch.manual_seed(1)
    tables = torch.randn(2, 4, 3, dtype=torch.float64)
    inputs = [table.clone().requires_grad_() for table in tables]
    assert torch.autograd.gradcheck(cosine_refine, inputs)


def test_a_row_of_zeros_gives_zeros_and_finite_gradients():
    y = torch.tensor([[0.0, 0.0], [1.0, 2.0]], requires_grad=True)
    x_0 = torch.tensor([[1.0, 1.0], [2.0, 4.0]], requires_grad=True)
    refined = cosine_refine(y, x_0)
    assert refined[0].tolist() == [0.0, 0.0]
    torch.testing.assert_close(refined[1], y[1])  # parallel rows: cosine 1
    refined.sum().backward()
    assert y.grad.isfinite().all()
    assert x_0.grad.isfinite().all()


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"got \[2, 3\] and \[3, 3\]"):
        cosine_refine(torch.ones(2, 3), torch.ones(3, 3))
