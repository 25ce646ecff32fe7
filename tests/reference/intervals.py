"""SciPy's bootstrap of a mean, as reports use it."""

from __future__ import annotations

import statistics

import numpy as np
from scipy import stats


def percentile_interval(values, seed=0):
    """The 95 % percentile interval of 5,000 resamples."""
    return stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=5000,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval


def crossed_moments(values, less=None):
    """Mean, standard error and degrees of freedom over users and seeds, by formulas.

    Without a draw: the variance of a resampled mean of users is known, that of seeds
    is the one of a mean of as many fresh runs; Welch and Satterthwaite add them.
    """
    sides = [np.asarray(side) for side in (values, less) if side is not None]
    users = sides[0].mean(0) - (sides[1].mean(0) if len(sides) > 1 else 0)
    parts = [(users.var() / users.size, users.size - 1)]
    unbiased = [(users.var(ddof=1) / users.size, users.size - 1)]
    for runs in (side.mean(1) for side in sides if len(side) > 1):
        part = (statistics.variance(runs.tolist()) / runs.size, runs.size - 1)
        parts, unbiased = [*parts, part], [*unbiased, part]
    total = sum(variance for variance, _ in unbiased)
    freedom = total**2 / sum(variance**2 / df for variance, df in unbiased)
    return users.mean(), sum(variance for variance, _ in parts) ** 0.5, freedom


def crossed_interval(values, less=None):
    """The 95 % interval that these give, by Student's t."""
    mean, error, freedom = crossed_moments(values, less)
    return stats.t(freedom, loc=mean, scale=error).interval(0.95)


def crossed_p_value(values):
    """Two-sided p of a mean of 0."""
    mean, error, freedom = crossed_moments(values)
    return 2 * stats.t.sf(abs(mean) / error, freedom)


def crossed_detectable(values):
    """The mean that is told from 0 with a power of .8."""
    _, error, freedom = crossed_moments(values)
    return error * sum(stats.t.ppf([0.975, 0.8], freedom))
