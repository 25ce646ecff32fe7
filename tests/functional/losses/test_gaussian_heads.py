from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from mmgraph.functional import (
    gaussian_log_likelihood,
    log_variance_head,
    mean_head,
)


@pytest.fixture
def problem():
    """Hidden units with ones, outputs whose spread depends on them."""
    generator = np.random.default_rng(0)
    h = np.maximum(generator.normal(size=(300, 5)), 0)
    h[:, -1] = 1
    y = h @ generator.normal(size=(5, 3))
    y = y + np.exp(0.4 * h[:, :3]) * generator.normal(size=y.shape)
    return torch.from_numpy(h), torch.from_numpy(y)


def test_the_means_head_is_weighted_least_squares(problem):
    h, y = problem
    log_var = torch.randn(300, 3, dtype=torch.float64)
    w = torch.zeros(3, 5, dtype=torch.float64)
    for _ in range(20):
        w = mean_head(h, y, log_var, w)
    for d in range(3):
        root = (-log_var[:, d] / 2).exp().numpy()
        x, right = h.numpy() * root[:, None], y[:, d].numpy() * root
        expected = np.linalg.lstsq(x, right, rcond=None)[0]
        np.testing.assert_allclose(w[d].numpy(), expected, rtol=1e-6, atol=1e-8)


def test_the_log_variances_head_ends_where_an_optimiser_does(problem):
    h, y = problem
    square = y.square() / 4
    v = torch.zeros(3, 5, dtype=torch.float64)
    for _ in range(300):
        v = log_variance_head(h, square, v)

    def loss(weights, d):
        t = np.tanh(h.numpy() @ weights)
        return (t + square[:, d].numpy() * np.exp(-t)).mean()

    for d in range(3):
        best = minimize(loss, np.zeros(5), args=(d,), tol=1e-12)
        assert loss(v[d].numpy(), d) == pytest.approx(best.fun, abs=1e-6)


def test_alternated_they_reach_the_likelihood_of_long_adam(problem):
    h, y = problem
    w, v = torch.zeros(2, 3, 5, dtype=torch.float64)
    likelihoods = []
    for _ in range(60):
        w = mean_head(h, y, (h @ v.T).tanh(), w)
        v = log_variance_head(h, (y - h @ w.T).square(), v)
        likelihood = gaussian_log_likelihood(h @ w.T, (h @ v.T).tanh(), y)
        likelihoods.append(likelihood.item())
    assert np.diff(likelihoods).min() > -1e-12
    weights = torch.zeros(2, 3, 5, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=1e-2)
    for _ in range(4000):
        optimizer.zero_grad()
        a, b = weights
        loss = -gaussian_log_likelihood(h @ a.T, (h @ b.T).tanh(), y)
        loss.backward()
        optimizer.step()
    assert likelihoods[-1] == pytest.approx(-loss.item(), abs=1e-4)


@pytest.mark.parametrize("features", [torch.zeros(4, 3), torch.ones(4, 3)])
def test_features_that_tell_nothing_apart_leave_finite_weights(features):
    y, w = torch.randn(4, 2), torch.ones(2, 3)
    assert mean_head(features, y, torch.zeros(4, 2), w).isfinite().all()
    assert log_variance_head(features, y.square(), w).isfinite().all()
    zero = torch.zeros(4, 3)
    torch.testing.assert_close(mean_head(zero, y, torch.zeros(4, 2), w), w)
