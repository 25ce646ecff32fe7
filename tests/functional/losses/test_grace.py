from __future__ import annotations

import math
import re

import pytest
import torch

from mmgraph.functional import grace

TIGHT = {"atol": 1e-10, "rtol": 1e-10}


def loop(x, y, temperature):
    """The formula, anchor by anchor."""

    def s(a, b):
        return (a @ b) / a.square().sum().sqrt() / b.square().sum().sqrt() / temperature

    total = 0.0
    for b in range(len(x)):
        below = sum(torch.exp(s(x[b], y[c])) for c in range(len(x)))
        below = below + sum(torch.exp(s(x[b], x[c])) for c in range(len(x)) if c != b)
        total = total - torch.log(torch.exp(s(x[b], y[b])) / below)
    return total / len(x)


def pair(rows=13, width=4, dtype=torch.float64):
    x, y = torch.randn(2, rows, width, dtype=dtype)
    return x.requires_grad_(), y.requires_grad_()


@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize("block_size", [1, 5, 12, 13, 1024])
def test_value_and_gradients_equal_the_formula(block_size, temperature):
    x, y = pair()
    loss, expected = grace(x, y, temperature, block_size), loop(x, y, temperature)
    torch.testing.assert_close(loss, expected, **TIGHT)
    grads = torch.autograd.grad(3 * loss, (x, y))
    references = torch.autograd.grad(3 * expected, (x, y))
    for grad, reference in zip(grads, references, strict=True):
        torch.testing.assert_close(grad, reference, **TIGHT)


def test_gradient_when_one_view_is_made_of_the_other():
    x, _ = pair()
    (grad,) = torch.autograd.grad(grace(x, x.tanh(), 0.5, 4), x)
    (reference,) = torch.autograd.grad(loop(x, x.tanh(), 0.5), x)
    torch.testing.assert_close(grad, reference, **TIGHT)


def test_gradients_pass_gradcheck():
    x, y = pair(7, 3)
    assert torch.autograd.gradcheck(lambda a, b: grace(a, b, 0.5, 3), (x, y))


def test_one_row_has_nothing_to_tell_apart():
    x, y = pair(1)
    loss = grace(x, y, 0.3)
    assert loss.item() == 0
    torch.testing.assert_close(
        torch.autograd.grad(loss, x)[0], torch.zeros(1, 4).double()
    )


def test_equal_cosines_give_the_logarithm_of_all_candidates():
    x = torch.ones(50, 4, dtype=torch.float64)
    assert grace(x, x, 0.07).item() == pytest.approx(math.log(99), rel=1e-12)


def test_float32_and_small_temperature_stay_close():
    x, y = pair(300, dtype=torch.float32)
    expected = grace(x.double(), y.double(), 0.02)
    loss = grace(x, y, 0.02, 64)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-5)


def test_views_of_different_shapes_are_refused():
    x = torch.ones(3, 2)
    with pytest.raises(ValueError, match=r"\(got \[3, 2\] and \[2, 2\]\)"):
        grace(x, x[:2], 0.2)


def test_runs_on_the_device(device):
    x, y = pair()
    a, b = x.detach().to(device).requires_grad_(), y.detach().to(device)
    loss = grace(a, b, 0.2, 5)
    torch.testing.assert_close(loss.cpu(), loop(x, y, 0.2), **TIGHT)
    (grad,) = torch.autograd.grad(loss, a)
    (reference,) = torch.autograd.grad(loop(x, y.detach(), 0.2), x)
    torch.testing.assert_close(grad.cpu(), reference, **TIGHT)


def test_rows_of_unlike_size_keep_their_digits_at_any_temperature():
    # The largest score of the first row is 1000, that of the others far below.
    x, y = pair(dtype=torch.float32)
    y = torch.cat([x[:1], y[1:]]).detach().requires_grad_()
    s = [torch.nn.functional.normalize(v.double()) for v in (x, y)]
    across, within = s[0] @ s[1].T / 1e-3, s[0] @ s[0].T / 1e-3
    within = within.masked_fill(torch.eye(13, dtype=torch.bool), -torch.inf)
    below = torch.cat([across, within], dim=1).logsumexp(dim=1)
    best = torch.cat([across, within], dim=1).amax(dim=1)
    assert best.max() - best.min() > 200
    expected = (below - across.diagonal()).mean()
    loss = grace(x, y, 1e-3)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=0)
    (grad,) = torch.autograd.grad(loss, y)
    (reference,) = torch.autograd.grad(expected, y)
    torch.testing.assert_close(grad, reference, rtol=1e-3, atol=1e-3)


def test_views_that_are_no_rows_are_refused():
    x = torch.ones(3, 2)
    for bad in (x[:0], x[0], x[None]):
        shape = re.escape(str([*bad.shape]))
        text = rf"^x and y must .* \[N, d\], N at least 1 \(got {shape}"
        with pytest.raises(ValueError, match=text):
            grace(bad, bad, 0.2)
