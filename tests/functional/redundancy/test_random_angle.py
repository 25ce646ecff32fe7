from __future__ import annotations

import math

import pytest
import scipy.integrate
import torch

from mmgraph.functional import random_angle_density, random_angle_variance


def density(theta, dim):
    return random_angle_density(torch.tensor(theta, dtype=torch.float64), dim).item()


def integral(function):
    value, _ = scipy.integrate.quad(
        function, 0, math.pi, epsabs=1e-12, epsrel=1e-12, points=[math.pi / 2]
    )
    return value


@pytest.mark.parametrize("dim", [2, 3, 16, 64, 128])
def test_density_integrates_to_one_and_to_the_trigamma_variance(dim):
    assert integral(lambda t: density(t, dim)) == pytest.approx(1, rel=1e-10)
    variance = integral(lambda t: (t - math.pi / 2) ** 2 * density(t, dim))
    assert random_angle_variance(dim) == pytest.approx(variance, rel=1e-9)


@pytest.mark.parametrize("dim", [3, 16])
def test_variance_of_the_cosine_is_one_over_n(dim):
    variance = integral(lambda t: math.cos(t) ** 2 * density(t, dim))
    assert variance == pytest.approx(1 / dim, rel=1e-9)


def test_variance_has_a_closed_form_where_trigamma_has():
    expected = math.pi**2 / 4 - 2
    assert random_angle_variance(3) == pytest.approx(expected, rel=1e-12)
    expected = (math.pi**2 / 6 - sum(1 / k**2 for k in range(1, 32))) / 2
    assert random_angle_variance(64) == pytest.approx(expected, rel=1e-12)


def test_simulated_directions_agree():
    x, y = torch.nn.functional.normalize(torch.randn(2, 100_000, 16).double(), dim=-1)
    angle = (x * y).sum(dim=1).acos()
    # The standard error of a variance is about sqrt(2 / samples) of it: 0.45 %.
    assert angle.var().item() == pytest.approx(random_angle_variance(16), rel=0.02)


def test_one_dimension_is_refused():
    with pytest.raises(ValueError, match=r"'dim' must be at least 2 \(got 1\)"):
        random_angle_variance(1)
