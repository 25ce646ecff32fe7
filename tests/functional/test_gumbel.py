from __future__ import annotations

import pytest
import torch
from scipy import stats

from mmgraph.functional import gumbel_softmax


def test_largest_entries_follow_the_softmax_of_the_logits():
    logits = torch.tensor([0.0, 1.0, -1.0, 0.5]).repeat(40_000, 1)
    soft = gumbel_softmax(logits, 0.2)
    torch.testing.assert_close(soft.sum(dim=1), torch.ones(40_000))
    share = torch.bincount(soft.argmax(dim=1), minlength=4) / 40_000
    weight = logits[0].exp()
    # The standard error of a share is at most 0.0025.
    torch.testing.assert_close(share, weight / weight.sum(), atol=0.0125, rtol=0)


def test_value_and_gradient_are_those_of_the_noisy_softmax():
    logits = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(2)
    soft = gumbel_softmax(logits, 0.7)
    torch.manual_seed(2)
    noise = -torch.log(-torch.log(torch.rand(5, 3, dtype=torch.float64)))
    power = ((logits + noise) / 0.7).exp()
    expected = power / power.sum(dim=1, keepdim=True)
    torch.testing.assert_close(soft, expected, rtol=1e-12, atol=1e-15)
    weight = torch.randn(5, 3, dtype=torch.float64)
    torch.testing.assert_close(
        *(torch.autograd.grad((x * weight).sum(), logits) for x in (soft, expected))
    )


def test_noise_has_the_moments_of_a_gumbel_distribution():
    # At temperature 1 the logarithm of the output's ratio is that of two draws.
    soft = gumbel_softmax(torch.zeros(200_000, 2), 1.0)
    difference = (soft[:, 0] / soft[:, 1]).log()
    _, p = stats.kstest(difference.numpy(), stats.logistic.cdf)
    assert p > 1e-3


def test_draws_of_0_and_next_to_1_leave_no_nan(monkeypatch):
    for value in (0.0, 1 - 2**-24):
        monkeypatch.setattr(torch, "rand", lambda *a, v=value, **_: torch.full(*a, v))
        soft = gumbel_softmax(torch.tensor([[0.0, 1.0], [2.0, 2.0]]), 0.5)
        expected = torch.tensor([[0.0, 2.0], [4.0, 4.0]]).softmax(dim=1)
        torch.testing.assert_close(soft, expected, rtol=1e-4, atol=1e-6)


def test_a_generator_repeats_the_draw_and_leaves_the_global_one_alone():
    logits = torch.randn(6, 4)
    state = torch.get_rng_state()
    first, second = (
        gumbel_softmax(logits, 0.2, generator=torch.Generator().manual_seed(1))
        for _ in range(2)
    )
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_noise_of_a_cpu_generator_is_the_same_on_the_device(device):
    logits = torch.randn(6, 4)
    here, there = (
        gumbel_softmax(x, 0.5, generator=torch.Generator().manual_seed(1))
        for x in (logits, logits.to(device))
    )
    torch.testing.assert_close(there.cpu(), here)


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"'temperature' must be above 0 \(got 0\)"):
        gumbel_softmax(torch.zeros(1, 2), 0)
