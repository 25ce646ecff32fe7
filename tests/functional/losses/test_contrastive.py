from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from mmgraph.functional import info_nce, solosim

TIGHT = {"atol": 1e-10, "rtol": 1e-10}


def dense(anchor, candidate, temperature, normalize=True):
    if normalize:
        anchor, candidate = F.normalize(anchor), F.normalize(candidate)
    logits = anchor @ candidate.T / temperature
    return -logits.log_softmax(dim=1).diagonal().mean()


def pair(rows=37, width=6, dtype=torch.float64):
    x, y = torch.randn(2, rows, width, dtype=dtype)
    return x.requires_grad_(), y.requires_grad_()


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("temperature", [0.05, 0.2, 2.0])
@pytest.mark.parametrize("block_size", [1, 5, 36, 37, 1024])
def test_solosim_equals_the_dense_softmax(block_size, temperature, normalize):
    x, y = pair()
    loss = solosim(x, y, temperature, block_size, normalize=normalize)
    expected = dense(x, y, temperature, normalize)
    torch.testing.assert_close(loss, expected, **TIGHT)
    grads = torch.autograd.grad(3 * loss, (x, y))
    references = torch.autograd.grad(3 * expected, (x, y))
    for grad, reference in zip(grads, references, strict=True):
        torch.testing.assert_close(grad, reference, **TIGHT)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("anchors", [1, 11, 60])
@pytest.mark.parametrize("block_size", [1, 7, 1024])
def test_anchors_with_named_matches_equal_the_dense_softmax(
    block_size, anchors, normalize
):
    x, y = pair()[0], torch.randn(anchors, 6, dtype=torch.float64, requires_grad=True)
    match = torch.randint(37, (anchors,))  # rows come back, others are candidates only
    loss = solosim(y, x, 0.3, block_size, normalize=normalize, match=match)
    a, b = (F.normalize(y), F.normalize(x)) if normalize else (y, x)
    log_softmax = (a @ b.T / 0.3).log_softmax(dim=1)
    expected = -sum(log_softmax[i, m] for i, m in enumerate(match.tolist())) / anchors
    torch.testing.assert_close(loss, expected, **TIGHT)
    with torch.no_grad():
        value = solosim(y, x, 0.3, block_size, normalize=normalize, match=match)
    torch.testing.assert_close(value, expected.detach(), **TIGHT)
    grads = torch.autograd.grad(3 * loss, (x, y))
    references = torch.autograd.grad(3 * expected, (x, y))
    for grad, reference in zip(grads, references, strict=True):
        torch.testing.assert_close(grad, reference, **TIGHT)


def test_naming_the_same_rows_changes_nothing():
    x, y = pair()
    named = solosim(x, y, 0.2, 8, match=torch.arange(37))
    torch.testing.assert_close(named, solosim(x, y, 0.2, 8), **TIGHT)


def test_float32_equals_the_dense_softmax():
    x, y = pair(300, dtype=torch.float32)
    loss, expected = solosim(x, y, 0.1, 64), dense(x, y, 0.1)
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    (grad,) = torch.autograd.grad(loss, x)
    (reference,) = torch.autograd.grad(expected, x)
    torch.testing.assert_close(grad, reference, atol=1e-7, rtol=1e-5)


def test_info_nce_averages_both_directions():
    x, y = pair()
    for normalize in (True, False):
        both = (dense(x, y, 0.3, normalize) + dense(y, x, 0.3, normalize)) / 2
        mean = info_nce(x, y, 0.3, block_size=8, normalize=normalize)
        torch.testing.assert_close(mean, both, **TIGHT)
        one = info_nce(x, y, 0.3, symmetric=False, block_size=8, normalize=normalize)
        torch.testing.assert_close(one, dense(x, y, 0.3, normalize), **TIGHT)


def test_one_tensor_on_both_sides_gets_the_whole_gradient():
    x, _ = pair()
    (grad,) = torch.autograd.grad(solosim(x, x, 0.5, 8), x)
    (reference,) = torch.autograd.grad(dense(x, x, 0.5), x)
    torch.testing.assert_close(grad, reference, **TIGHT)


def test_gradients_pass_gradcheck():
    x, y = pair(7, 3)
    assert torch.autograd.gradcheck(lambda a, b: solosim(a, b, 0.5, 3), (x, y))


def test_equal_logits_give_log_n():
    x = torch.ones(50, 4, dtype=torch.float64)
    assert solosim(x, x, 0.07).item() == pytest.approx(math.log(50), rel=1e-12)


def test_order_of_items_has_no_influence_but_direction_has():
    x, y = pair()
    order = torch.randperm(37)
    loss = solosim(x, y, 0.2, 8)
    torch.testing.assert_close(solosim(x[order], y[order], 0.2, 8), loss, **TIGHT)
    assert abs(solosim(y, x, 0.2, 8) - loss) > 1e-3


def test_large_logits_do_not_overflow():
    x = 1000 * torch.randn(20, 4)
    y = 1000 * torch.randn(20, 4)
    expected = dense(x.double(), y.double(), 0.01, normalize=False)
    actual = solosim(x, y, 0.01, 6, normalize=False)
    torch.testing.assert_close(actual.double(), expected, rtol=1e-5, atol=0)


def test_gradient_flows_to_the_side_that_asks():
    x, y = pair()
    (grad,) = torch.autograd.grad(solosim(x, y.detach(), 0.2, 8), x)
    (reference,) = torch.autograd.grad(dense(x, y.detach(), 0.2), x)
    torch.testing.assert_close(grad, reference, **TIGHT)


def test_errors_name_the_value():
    x = torch.ones(3, 2)
    with pytest.raises(ValueError, match=r"\(got \[3, 2\] and \[2, 2\]\)"):
        solosim(x, x[:2], 0.2)
    with pytest.raises(ValueError, match=r"N at least 1 \(got \[0, 2\]"):
        solosim(x[:0], x[:0], 0.2)
    some = torch.zeros(3, dtype=torch.long)
    for anchor, candidate, match in ((x[:0], x, some[:0]), (x, x[:0], some)):
        with pytest.raises(ValueError, match=r"\[B, d\] and \[N, d\], N at least 1"):
            solosim(anchor, candidate, 0.2, match=match)
    with pytest.raises(ValueError, match=r"'match' must name one row per anchor, 3"):
        solosim(x, x[:2], 0.2, match=torch.zeros(2, dtype=torch.long))
    with pytest.raises(ValueError, match=r"must be \[B, d\] and \[N, d\]"):
        solosim(x, x[:, :1], 0.2, match=torch.zeros(3, dtype=torch.long))


def test_runs_on_the_device(device):
    x, y = pair(100)
    a, b = x.detach().to(device).requires_grad_(), y.detach().to(device)
    loss = solosim(a, b, 0.2, 32)
    torch.testing.assert_close(loss.cpu(), dense(x, y, 0.2), **TIGHT)
    (grad,) = torch.autograd.grad(loss, a)
    (reference,) = torch.autograd.grad(dense(x, y, 0.2), x)
    torch.testing.assert_close(grad.cpu(), reference, **TIGHT)


@pytest.mark.parametrize("dim", [4, 64])
def test_few_columns_are_as_exact_as_many(dim):
    """A long sum of products to few columns once had 60 times the rounding."""
    torch.manual_seed(0)
    a, b = (F.normalize(torch.randn(n, dim).abs()) for n in (300, 7000))
    match = torch.randint(7000, (300,))

    def gradients(dtype):
        x, y = (t.to(dtype).clone().requires_grad_() for t in (a, b))
        solosim(x, y, 0.2, normalize=False, match=match).backward()
        return x.grad.double(), y.grad.double()

    exact = gradients(torch.float64)
    for found, expected in zip(gradients(torch.float32), exact, strict=True):
        assert (found - expected).norm() < 1.5e-6 * expected.norm()
