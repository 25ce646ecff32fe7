from __future__ import annotations

import numpy as np
import pytest
from reference.intervals import percentile_interval
from scipy import stats

from mmgraph.analysis.statistics import intervals
from mmgraph.analysis.statistics.intervals import bootstrap_interval, student_interval

VALUES = np.random.default_rng(5).exponential(size=23)


def means_of_resamples(values, resamples, seed):
    """The same draws in a plain loop."""
    rng = np.random.default_rng(seed)
    positions = rng.integers(0, len(values), (resamples, len(values)))
    return np.array([sum(values[i] for i in row) / len(row) for row in positions])


def test_percentile_interval_equals_a_plain_loop():
    means = means_of_resamples(VALUES, 400, 3)
    expected = np.quantile(means, [0.05, 0.95])
    found = bootstrap_interval(VALUES, level=0.9, resamples=400, seed=3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_intervals_are_those_of_scipy():
    assert bootstrap_interval(VALUES) == percentile_interval(VALUES)


def test_how_many_are_drawn_at_a_time_changes_nothing(monkeypatch):
    whole = bootstrap_interval(VALUES, seed=1)
    monkeypatch.setattr(intervals, "RESAMPLED_VALUES", 7 * VALUES.size)
    np.testing.assert_allclose(bootstrap_interval(VALUES, seed=1), whole, atol=1e-15)


def test_many_values_give_the_interval_of_the_normal_approximation():
    values = np.random.default_rng(1).random(4000)
    half = 1.959964 * values.std(ddof=1) / np.sqrt(values.size)
    expected = values.mean() + np.array([-half, half])
    # The quantiles of 5,000 draws have an error of their own, about 4 % of `half`.
    found = bootstrap_interval(values)
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.1 * half)


@pytest.mark.parametrize("interval", [bootstrap_interval, student_interval])
def test_equal_values_leave_no_doubt(interval):
    assert interval([0.25] * 3) == (0.25, 0.25)


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_interval_by_students_t_is_that_of_scipys_test(level):
    expected = stats.ttest_1samp(VALUES, 0).confidence_interval(level)
    low, high = student_interval(VALUES, level=level)
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert student_interval([0.5]) == (0.5, 0.5)


@pytest.mark.parametrize("values", [[1.0], [], [[1.0, 2.0]]])
def test_fewer_than_two_values_are_refused(values):
    with pytest.raises(ValueError, match=r"at least two values are needed \(got shape"):
        bootstrap_interval(values)
