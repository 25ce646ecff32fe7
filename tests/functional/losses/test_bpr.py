from __future__ import annotations

import math

import pytest
import torch

from mmgraph.functional import bpr_loss, inner_product_bpr


def reference(pos, neg):
    return [-math.log(1 / (1 + math.exp(n - p))) for p, n in zip(pos, neg, strict=True)]


def test_equals_the_written_formula():
    pos, neg = torch.randn(2, 50, dtype=torch.float64)
    expected = torch.tensor(reference(pos.tolist(), neg.tolist()), dtype=torch.float64)
    torch.testing.assert_close(bpr_loss(pos, neg, reduction="none"), expected)
    torch.testing.assert_close(bpr_loss(pos, neg), expected.mean())
    torch.testing.assert_close(bpr_loss(pos, neg, reduction="sum"), expected.sum())
    base2 = bpr_loss(pos, neg, base=2)
    torch.testing.assert_close(base2, expected.mean() / math.log(2))


def test_far_tail_is_finite_and_linear():
    pos = torch.tensor([-500.0], requires_grad=True)
    loss = bpr_loss(pos, torch.tensor([500.0]))
    loss.backward()
    assert loss.item() == 1000
    assert pos.grad is not None
    assert pos.grad.item() == -1


def test_gradient_is_the_logistic_of_the_difference():
    pos = torch.randn(5, dtype=torch.float64, requires_grad=True)
    neg = torch.randn(5, dtype=torch.float64, requires_grad=True)
    bpr_loss(pos, neg, reduction="sum").backward()
    expected = 1 / (1 + (pos - neg).exp())
    torch.testing.assert_close(pos.grad, -expected.detach())
    torch.testing.assert_close(neg.grad, expected.detach())


def test_errors_name_the_value():
    x = torch.zeros(2)
    with pytest.raises(ValueError, match=r"'reduction' must be .* \(got 'avg'\)"):
        bpr_loss(x, x, reduction="avg")
    with pytest.raises(ValueError, match=r"'base' must be 'e' or 2 \(got 10\)"):
        bpr_loss(x, x, base=10)


@pytest.mark.parametrize(("base", "scale"), [("e", 1.0), (2, math.log(2))])
def test_triples_are_scored_by_their_inner_products(base, scale):
    user, pos, neg = torch.randn(3, 7, 4, dtype=torch.float64)
    scores = [
        [sum(a * b for a, b in zip(*rows, strict=True)) for rows in pairs]
        for pairs in (
            zip(user.tolist(), pos.tolist(), strict=True),
            zip(user.tolist(), neg.tolist(), strict=True),
        )
    ]
    expected = sum(reference(*scores)) / 7 / scale
    loss = inner_product_bpr(user, pos, neg, base=base)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
