from __future__ import annotations

import statistics

import numpy as np
import pytest
from reference.intervals import crossed_interval, crossed_moments, percentile_interval
from scipy import stats

from mmgraph.analysis.statistics.crossed_bootstrap import crossed_bootstrap


def runs(seeds, users, seed_sd, rng, noise=1.0):
    """Metrics of mean 0: a part of each user, one of each seed, one of both."""
    values = rng.normal(0, 1, users) + rng.normal(0, noise, (seeds, users))
    return values + rng.normal(0, seed_sd, seeds)[:, None]


@pytest.mark.parametrize(("seeds", "seed_sd"), [(2, 0.1), (3, 1.0), (5, 0.3), (4, 0.0)])
def test_it_is_the_formula_of_welch_and_satterthwaite(seeds, seed_sd):
    values = runs(seeds, 150, seed_sd, np.random.default_rng(seeds))
    found = crossed_bootstrap(values, resamples=20_000)
    mean, error, freedom = crossed_moments(values)
    assert found.mean == pytest.approx(mean, abs=1e-12)
    assert found.standard_error == pytest.approx(error, rel=0.03)
    low, high = crossed_interval(values)
    assert np.mean(found.interval) == pytest.approx(mean, abs=1e-12)
    width = found.interval.high - found.interval.low
    assert width == pytest.approx(high - low, rel=0.03)
    p = 2 * stats.t.sf(abs(mean) / found.standard_error, freedom)
    assert found.p_value == pytest.approx(p, rel=1e-9)


def test_it_equals_a_plain_loop_over_all_cells():
    values = runs(3, 12, 0.5, np.random.default_rng(2))
    found = crossed_bootstrap(values, resamples=200, seed=4)
    users = np.random.default_rng(4).integers(0, 12, (200, 12))
    seeds = np.random.default_rng([4, 1]).integers(0, 3, (200, 3))
    total = statistics.fmean(values.flatten())
    draws = []
    for drawn_users, drawn_seeds in zip(users, seeds, strict=True):
        of_users = [values[s, u] for s in range(3) for u in drawn_users]
        of_seeds = [values[s, u] for s in drawn_seeds for u in range(12)]
        deviation = statistics.fmean(of_seeds) - total
        draws.append(statistics.fmean(of_users) + 1.5**0.5 * deviation)
    assert found.standard_error == pytest.approx(statistics.stdev(draws), abs=1e-12)
    low, high = np.quantile(
        [
            statistics.fmean(values[s, u] for s in range(3) for u in row)
            for row in users
        ],
        [0.025, 0.975],
    )
    assert found.over_users == pytest.approx((low, high), abs=1e-12)


def test_what_users_and_seeds_make_together_counts_twice():
    """Too wide, not too narrow: the true variance of the mean is 1 / (3 * 40)."""
    rng = np.random.default_rng(0)
    squares = [
        crossed_bootstrap(rng.normal(size=(3, 40)), resamples=300).standard_error ** 2
        for _ in range(400)
    ]
    assert statistics.fmean(squares) * 3 * 40 == pytest.approx(2, rel=0.1)


def test_a_side_with_one_seed_is_taken_as_it_is():
    rng = np.random.default_rng(5)
    one, other = runs(3, 80, 0.5, rng), runs(1, 80, 0.5, rng)
    found = crossed_bootstrap(one, other, resamples=20_000)
    _, error, freedom = crossed_moments(one, other)
    assert found.standard_error == pytest.approx(error, rel=0.03)
    # Two sources of spread: users, and the runs of the first.
    parts = [(one.mean(0) - other[0]).var(ddof=1) / 80, one.mean(1).var(ddof=1) / 3]
    expected = sum(parts) ** 2 / (parts[0] ** 2 / 79 + parts[1] ** 2 / 2)
    assert freedom == pytest.approx(expected)
    half = stats.t.ppf(0.975, expected) * found.standard_error
    assert found.interval.high == pytest.approx(found.mean + half)


def test_with_other_seeds_on_both_sides_the_variances_of_both_add_up():
    rng = np.random.default_rng(3)
    one, other = runs(3, 80, 0.5, rng), runs(5, 80, 0.2, rng)
    found = crossed_bootstrap(one, other, resamples=20_000)
    mean, error, _ = crossed_moments(one, other)
    assert found.mean == pytest.approx(mean, abs=1e-12)
    assert found.standard_error == pytest.approx(error, rel=0.03)


def test_of_one_seed_the_interval_is_that_of_the_users():
    values = runs(1, 60, 0.0, np.random.default_rng(0))
    found = crossed_bootstrap(values, seed=4)
    expected = pytest.approx(percentile_interval(values[0], seed=4))
    assert found.interval == expected
    assert found.over_users == expected


def coverage(seeds, seed_sd, trials=1000, users=120):
    """Share of intervals of users and seeds, and of users, that hold the true mean."""
    rng = np.random.default_rng([seeds, int(10 * seed_sd)])
    both = alone = 0
    for trial in range(trials):
        values = runs(seeds, users, seed_sd, rng)
        found = crossed_bootstrap(values, resamples=400, seed=trial)
        both += found.interval.low <= 0 <= found.interval.high
        alone += found.over_users.low <= 0 <= found.over_users.high
    return both / trials, alone / trials


@pytest.mark.parametrize("seeds", [3, 5])
def test_it_covers_the_truth_where_users_alone_do_not(seeds):
    """A variance of the mean over seeds that is that of the mean over users."""
    both, alone = coverage(seeds, seed_sd=(seeds / 120) ** 0.5)
    # A share of 1,000 trials has a standard error of .007.
    assert 0.93 <= both <= 0.98
    assert alone < 0.89


def test_without_a_part_of_the_seeds_it_is_hardly_wider():
    both, alone = coverage(3, seed_sd=0.0)
    assert 0.94 <= both <= 0.99
    assert 0.92 <= alone <= 0.97


def test_the_detectable_difference_is_seen_in_four_of_five_experiments():
    rng = np.random.default_rng(8)
    seen, trials = 0, 800
    truth = crossed_bootstrap(runs(5, 400, 0.05, rng)).detectable
    for trial in range(trials):
        values = truth + runs(5, 400, 0.05, rng)
        seen += crossed_bootstrap(values, resamples=300, seed=trial).p_value < 0.05
    assert 0.7 <= seen / trials <= 0.9


@pytest.mark.parametrize(("seeds", "seed_sd"), [(3, 50.0), (5, 50.0), (3, 0.0)])
def test_the_power_is_that_of_the_non_central_distribution(seeds, seed_sd):
    values = runs(seeds, 90, seed_sd, np.random.default_rng(1))
    found = crossed_bootstrap(values)
    _, _, freedom = crossed_moments(values)
    shift = found.detectable / found.standard_error
    edge = stats.t.ppf(0.975, freedom)
    power = stats.nct.sf(edge, freedom, shift) + stats.nct.cdf(-edge, freedom, shift)
    expected = {(3, 50.0): 0.766, (5, 50.0): 0.791, (3, 0.0): 0.8}
    assert power == pytest.approx(expected[seeds, seed_sd], abs=2e-3)


def test_no_difference_at_all_leaves_no_doubt():
    found = crossed_bootstrap(np.zeros((3, 10)))
    assert (found.mean, found.standard_error, found.interval) == (0, 0, (0, 0))
    assert (found.p_value, found.detectable) == (1, 0)
    shift = crossed_bootstrap(np.full((3, 10), 0.25))
    assert (shift.interval, shift.p_value) == ((0.25, 0.25), 0)


@pytest.mark.parametrize(
    ("values", "less"),
    [([0.1, 0.2], None), ([[0.1]], None), ([[0.1, 0.2]], [[0.1, 0.2, 0.3]])],
)
def test_other_shapes_are_refused(values, less):
    with pytest.raises(ValueError, match="a row per run over the same users"):
        crossed_bootstrap(values, less)
