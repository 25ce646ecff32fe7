"""Intervals of a mean by the bootstrap."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

#: Values drawn at a time: resamples of many users never lie in memory at once.
_BATCH_VALUES = 2**22

Method = Literal["percentile", "bca"]


class Interval(NamedTuple):
    """Ends of an interval."""

    low: float
    high: float


def bootstrap_interval(
    values: ArrayLike,
    *,
    level: float = 0.95,
    method: Method = "percentile",
    resamples: int = 5000,
    seed: int = 0,
) -> Interval:
    """Interval of the mean of values that were drawn independently.

    Values are drawn from the given ones with replacement, as many as there are; the
    interval is spanned by quantiles of the means of such samples (Efron and Tibshirani,
    1993, chapters 13 and 14). Equal seeds draw equal positions, so systems that were
    measured on the same users are resampled alike.

    Args:
        values: One value per user, or one per seed. Of few values the interval is a
            rough one, and too narrow.
        level: Share of cases in which the interval is to cover the mean.
        method: ``"percentile"``, or ``"bca"``, which also corrects bias and skewness
            and takes time quadratic in the number of values.
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
    if np.ptp(sample) == 0:  # BCa's correction would be 0/0
        return Interval(float(sample[0]), float(sample[0]))
    result = stats.bootstrap(
        (sample,),
        np.mean,
        n_resamples=resamples,
        batch=max(1, _BATCH_VALUES // sample.size),
        vectorized=True,
        confidence_level=level,
        method="percentile" if method == "percentile" else "BCa",
        random_state=np.random.default_rng(seed),
    )
    interval = result.confidence_interval
    return Interval(float(interval.low), float(interval.high))
