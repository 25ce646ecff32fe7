from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.intervals import percentile_interval
from scipy import stats

from mmgraph.analysis.statistics.significance import holm, paired_comparison


def closed_testing(p):
    """Adjusted p of Holm by its definition: Bonferroni on every subset."""
    indices = range(len(p))
    subsets = list(
        chain.from_iterable(combinations(indices, r) for r in range(1, len(p) + 1))
    )
    return [
        max(min(1.0, len(s) * min(p[j] for j in s)) for s in subsets if i in s)
        for i in indices
    ]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
def test_holm_equals_closed_testing_with_bonferroni(p):
    np.testing.assert_allclose(holm(p), closed_testing(p), rtol=0, atol=1e-12)


def test_holm_of_nothing_is_nothing():
    assert holm([]).size == 0


def test_paired_tests_equal_scipy_and_the_t_formula():
    rng = np.random.default_rng(0)
    base = rng.random(40)
    variant = base + rng.normal(0.02, 0.1, 40)
    variant[:5] = base[:5]
    result = paired_comparison(variant, base)

    difference = variant - base
    t = difference.mean() / (difference.std(ddof=1) / np.sqrt(40))
    assert result.t_p_value == pytest.approx(2 * stats.t.sf(abs(t), 39), abs=1e-12)
    kept = difference[difference != 0]
    assert result.wilcoxon_p_value == pytest.approx(
        stats.wilcoxon(kept).pvalue, abs=1e-12
    )
    assert result.mean_difference == pytest.approx(difference.mean(), abs=1e-12)
    assert result.num_users == 40
    drawn = percentile_interval(difference, seed=3)
    again = paired_comparison(variant, base, seed=3).interval
    assert again == pytest.approx(drawn, abs=1e-12)


def test_wilcoxon_with_ties_equals_the_normal_approximation():
    rng = np.random.default_rng(1)
    difference = rng.integers(-3, 5, 200).astype(float)
    kept = difference[difference != 0]
    ranks = stats.rankdata(abs(kept))
    n = len(kept)
    ties = np.unique(ranks, return_counts=True)[1]
    variance = n * (n + 1) * (2 * n + 1) / 24 - (ties**3 - ties).sum() / 48
    z = (ranks[kept > 0].sum() - n * (n + 1) / 4) / np.sqrt(variance)
    result = paired_comparison(difference, np.zeros(200))
    assert result.wilcoxon_p_value == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-9)


def test_exact_wilcoxon_of_four_positive_differences():
    # All 16 sign patterns are equally likely; 2 of them are as extreme.
    result = paired_comparison([1.0, 2.5, 3.7, 5.2], [0.0, 0.0, 0.0, 0.0])
    assert result.wilcoxon_p_value == pytest.approx(2 / 16)


def test_equal_systems_have_p_one_and_no_warning():
    result = paired_comparison([0.1, 0.2], [0.1, 0.2])
    assert (result.t_p_value, result.wilcoxon_p_value) == (1.0, 1.0)
    assert result.interval == (0, 0)


def test_constant_shift_is_certain_for_t():
    assert paired_comparison([1.0, 2.0, 3.0], [0.0, 1.0, 2.0]).t_p_value == 0.0


@pytest.mark.parametrize("users", [([1.0], [1.0]), ([1.0, 2.0], [1.0])])
def test_unequal_or_single_users_are_refused(users):
    with pytest.raises(ValueError, match="same users, at least two"):
        paired_comparison(*users)
