"""Factors of cosines against the cosines of the products."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmgraph.functional.cosine_factors import cosine_factors


@pytest.mark.parametrize("parallel", [False, True])
def test_inner_products_and_gradients_are_those_of_the_cosines(parallel: bool) -> None:
    torch.manual_seed(0)
    shapes = [(5, 2), (2, 9), (7, 3), (3, 9)]
    inputs = [torch.randn(s, dtype=torch.float64) for s in shapes]
    if parallel:  # what they span together has fewer dimensions than rows
        inputs[3][:2] = inputs[1]
    grad = torch.randn(5, 7, dtype=torch.float64)
    factors = [x.clone().requires_grad_() for x in inputs]
    p, q = cosine_factors(*factors)
    assert [p.shape, q.shape] == [(5, 5), (7, 5)]
    (p @ q.T).backward(grad)
    dense = [x.clone().requires_grad_() for x in inputs]
    a, b = F.normalize(dense[0] @ dense[1]), F.normalize(dense[2] @ dense[3])
    (a @ b.T).backward(grad)
    torch.testing.assert_close(p @ q.T, a @ b.T)
    for found, expected in zip(factors, dense, strict=True):
        torch.testing.assert_close(found.grad, expected.grad)


def test_a_row_without_length_has_inner_products_of_zero_and_finite_gradients() -> None:
    narrow = torch.tensor([[0.0, 0.0], [1.0, 2.0]], requires_grad=True)
    wide = torch.randn(2, 4)
    p, q = cosine_factors(narrow, wide, narrow, wide)
    cosines = p @ q.T
    assert cosines[0].tolist() == [0.0, 0.0]
    torch.testing.assert_close(cosines[1, 1], torch.tensor(1.0))
    cosines.sum().backward()
    assert narrow.grad.isfinite().all()


def test_where_the_factors_span_everything_the_rows_stay_as_they_are() -> None:
    narrow, wide = torch.randn(6, 3), torch.randn(3, 5)
    p, q = cosine_factors(narrow, wide, narrow, wide)
    torch.testing.assert_close(p, F.normalize(narrow @ wide))
    torch.testing.assert_close(q, p)
