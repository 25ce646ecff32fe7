"""SciPy's bootstrap of a mean, as reports use it."""

from __future__ import annotations

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
