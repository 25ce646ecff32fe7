from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import Normal

from mmgraph.functional import (
    club_bound,
    club_bound_sampled,
    gaussian_log_likelihood,
    gaussian_network_loss,
    standardized,
)

TIGHT = {"atol": 1e-10, "rtol": 1e-10}


def case(rows=23, width=5):
    mean, log_var, y = torch.randn(3, rows, width, dtype=torch.float64)
    return mean, log_var.tanh(), y + 2


def log_prob(mean, log_var, y):
    return Normal(mean, (log_var / 2).exp()).log_prob(y).sum(dim=-1)


def test_log_likelihood_is_that_of_torch_distributions():
    inputs = [t.requires_grad_() for t in case()]
    constant = 5 * math.log(2 * math.pi) / 2
    expected = log_prob(*inputs).mean() + constant
    actual = gaussian_log_likelihood(*inputs)
    torch.testing.assert_close(actual, expected, **TIGHT)
    grads = torch.autograd.grad(3 * actual, inputs)
    references = torch.autograd.grad(3 * expected, inputs)
    for grad, reference in zip(grads, references, strict=True):
        torch.testing.assert_close(grad, reference, **TIGHT)


def networks(d_x=4, hidden=3, d_y=5, dtype=torch.float64):
    """Layers of the mean and of the log-variance, with gradients."""
    shapes = [(hidden, d_x), (hidden,), (d_y, hidden), (d_y,)]
    return [
        tuple(torch.randn(s, dtype=dtype, requires_grad=True) for s in shapes)
        for _ in range(2)
    ]


def network_moments(x, mean, log_var):
    mu, rho = ((x @ w1.T + b1).relu() @ w2.T + b2 for w1, b1, w2, b2 in (mean, log_var))
    return mu, rho.tanh()


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-5)]
)
def test_network_loss_is_the_negative_likelihood_of_the_networks(dtype, tolerance):
    x, y = torch.randn(23, 4, dtype=dtype), torch.randn(23, 5, dtype=dtype)
    mean, log_var = networks(dtype=dtype)
    weights = [*mean, *log_var]
    expected = -gaussian_log_likelihood(*network_moments(x, mean, log_var), y)
    actual = gaussian_network_loss(x, y, mean, log_var)
    near = {"atol": tolerance, "rtol": tolerance}
    torch.testing.assert_close(actual, expected, **near)
    grads = torch.autograd.grad(3 * actual, weights)
    references = torch.autograd.grad(3 * expected, weights)
    for grad, reference in zip(grads, references, strict=True):
        torch.testing.assert_close(grad, reference, **near)


def test_network_loss_gives_its_data_no_gradient():
    x = torch.randn(7, 4, dtype=torch.float64, requires_grad=True)
    y = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    # Not even the graph of the data is reached: it may go backward once more.
    doubled = 2 * x
    for _ in range(2):
        gaussian_network_loss(doubled, y, *networks()).backward()
    assert x.grad is None
    assert y.grad is None


def test_second_derivative_of_the_network_loss_is_refused():
    x, y = torch.randn(7, 4).double(), torch.randn(7, 5).double()
    mean, log_var = networks()
    text = r"^gaussian_network_loss has no second .* with create_graph=True\)$"
    loss = gaussian_network_loss(x, y, mean, log_var)
    with pytest.raises(RuntimeError, match=text):
        torch.autograd.grad(loss, mean, create_graph=True)


def test_closed_form_equals_the_mean_over_all_pairs():
    inputs = [t.requires_grad_() for t in case()]
    mean, log_var, y = inputs
    pairs = log_prob(mean[:, None], log_var[:, None], y[None])
    expected = (pairs.diagonal() - pairs.mean(dim=1)).mean()
    actual = club_bound(mean, log_var, y)
    torch.testing.assert_close(actual, expected, **TIGHT)
    grads = torch.autograd.grad(actual, inputs)
    references = torch.autograd.grad(expected, inputs)
    for grad, reference in zip(grads, references, strict=True):
        torch.testing.assert_close(grad, reference, **TIGHT)


def test_closed_form_keeps_its_digits_far_from_the_origin():
    mean, log_var, y = case()
    near = club_bound(mean, log_var, y)
    far = club_bound((mean + 1000).float(), log_var.float(), (y + 1000).float())
    torch.testing.assert_close(far.double(), near, atol=1e-3, rtol=1e-3)


def test_sampled_bound_is_the_difference_of_log_likelihoods():
    mean, log_var, y = case()
    order = torch.randperm(23)
    own, other = log_prob(mean, log_var, y), log_prob(mean, log_var, y[order])
    actual = club_bound_sampled(mean, log_var, y, order)
    torch.testing.assert_close(actual, (own - other).mean(), **TIGHT)


def test_sampled_bound_averages_to_the_closed_form_over_all_permutations():
    mean, log_var, y = case(rows=5)
    values = [
        club_bound_sampled(mean, log_var, y, torch.tensor(order))
        for order in permutations(range(5))
    ]
    actual = torch.stack(values).mean()
    torch.testing.assert_close(actual, club_bound(mean, log_var, y), **TIGHT)


@pytest.mark.parametrize("r", [0.1, 0.5, 0.9])
def test_bound_of_a_gaussian_pair_with_its_true_conditional(r):
    # Scalar Gaussians: r^2 / (1 - r^2), an upper bound of -ln(1 - r^2) / 2.
    # Exact in the sample when its moments are exactly those of the model.
    g, noise = torch.randn(2, 400, dtype=torch.float64)
    g = g - g.mean()
    noise = noise - noise.mean() - (noise @ g) / (g @ g) * g
    g, noise = g / g.std(correction=0), noise / noise.std(correction=0)
    u = r * g + math.sqrt(1 - r**2) * noise
    log_var = torch.full((400, 1), math.log(1 - r**2), dtype=torch.float64)
    bound = club_bound((r * g)[:, None], log_var, u[:, None]).item()
    assert bound == pytest.approx(r**2 / (1 - r**2), rel=1e-10)
    assert bound >= -0.5 * math.log(1 - r**2)


def test_independent_halves_have_a_bound_of_zero_in_expectation():
    # Crossing every x with every y is exact independence, whatever q is.
    mean, log_var, y = case(rows=6)
    rows, columns = torch.cartesian_prod(torch.arange(6), torch.arange(6)).T
    bound = club_bound(mean[rows], log_var[rows], y[columns])
    torch.testing.assert_close(bound, torch.zeros_like(bound), atol=1e-10, rtol=0)


def test_standardised_columns_are_those_of_scipy():
    x = 3 + 0.01 * torch.randn(50, 4, dtype=torch.float64)
    expected = stats.zscore(x.numpy(), axis=0)
    np.testing.assert_allclose(standardized(x).numpy(), expected, rtol=1e-6)
    constant = torch.full((5, 2), 7.0)
    assert not standardized(constant).any()
    assert not standardized(torch.ones(1, 3)).any()
