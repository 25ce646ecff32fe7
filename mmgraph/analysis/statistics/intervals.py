"""Intervals of a mean: by the bootstrap, and by Student's t."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from mmgraph.functional.block_sizes import RESAMPLED_VALUES


class Interval(NamedTuple):
    """Ends of an interval."""

    low: float
    high: float


def bootstrap_interval(
    values: ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 5000,
    seed: int = 0,
) -> Interval:
    """Percentile interval of the mean of values that were drawn independently.

    Values are drawn from the given ones with replacement, as many as there are; the
    interval is spanned by quantiles of the means of such samples (Efron and Tibshirani,
    1993, chapter 13). Equal seeds draw equal positions, so systems that were
    measured on the same users are resampled alike.

    Args:
        values: One value per user, or one per seed. Of few values the interval is a
            rough one, and too narrow.
        level: Fraction of cases in which the interval is to cover the mean.
        resamples: Samples that are drawn.
        seed: Seed of the draws.

    Raises:
        ValueError: If there are fewer than two values.

    Example:
        >>> low, high = bootstrap_interval([0.1, 0.4, 0.2, 0.3])
        >>> 0.1 <= low < 0.25 < high <= 0.4
        True
        >>> bootstrap_interval([0.5, 0.5])
        Interval(low=0.5, high=0.5)
    """
    sample = np.asarray(values, np.float64)
    if sample.ndim != 1 or sample.size < 2:
        raise ValueError(f"at least two values are needed (got shape {sample.shape})")
    means = resampled_means(sample, resamples, seed)
    low, high = np.quantile(means, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(low), float(high))


def resampled_means(values: ArrayLike, resamples: int, seed: int) -> np.ndarray:
    """Means of samples drawn with replacement, as many values as there are.

    Equal seeds draw equal positions.

    Args:
        values: The values.
        resamples: Samples that are drawn.
        seed: Seed of the draws.

    Example:
        >>> resampled_means([0.5, 0.5], 3, seed=0)
        array([0.5, 0.5, 0.5])
    """
    sample = np.asarray(values, np.float64)
    if np.ptp(sample) == 0:  # the mean of equal values can be off by its last digit
        return np.full(resamples, sample[0])
    result = stats.bootstrap(
        (sample,),
        np.mean,
        n_resamples=resamples,
        batch=max(1, RESAMPLED_VALUES // sample.size),
        vectorized=True,
        method="percentile",
        random_state=np.random.default_rng(seed),
    )
    means: np.ndarray = result.bootstrap_distribution
    return means


def student_interval(values: ArrayLike, *, level: float = 0.95) -> Interval:
    """Interval of the mean of values that were drawn independently, by Student's t.

    Args:
        values: One value per item. Equal values, or a single one, have an interval
            without length.
        level: Fraction of cases in which the interval is to cover the mean.

    Example:
        >>> low, high = student_interval([0.1, 0.4, 0.2, 0.3])
        >>> round(low, 3), round(high, 3)
        (0.045, 0.455)
    """
    sample = np.asarray(values, np.float64)
    mean = float(sample.mean())
    error = float(stats.sem(sample)) if sample.size > 1 else 0.0
    if error == 0:
        return Interval(mean, mean)
    low, high = stats.t(sample.size - 1, loc=mean, scale=error).interval(level)
    return Interval(float(low), float(high))
