from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mmgraph.functional import chance_overlap

CASES = [(5, 30), (10, 999), (10, 12), (50, 6709)]


@pytest.mark.parametrize(("k", "n"), CASES)
def test_one_centre_is_the_hypergeometric_distribution_of_scipy(k, n):
    law = stats.hypergeom(n, k, k)
    chance = chance_overlap(k, n, 1, confidence=0.9)
    assert chance.expected == pytest.approx(law.mean() / k, rel=1e-12)
    assert (chance.low, chance.high) == pytest.approx(
        (law.ppf(0.05) / k, law.ppf(0.95) / k), rel=1e-12
    )


def test_several_centres_are_the_convolution():
    mass = stats.hypergeom(30, 5, 5).pmf(np.arange(6))
    total = mass
    for _ in range(6):
        total = np.convolve(total, mass)
    below = total.cumsum()
    chance = chance_overlap(5, 30, 7)
    assert chance.low == np.argmax(below >= 0.025) / 35
    assert chance.high == np.argmax(below >= 0.975) / 35


def test_many_centres_are_nearly_gaussian():
    k, n, centres = 50, 6709, 2000
    law = stats.hypergeom(n, k, k)
    error = law.std() / k / np.sqrt(centres)
    chance = chance_overlap(k, n, centres)
    # The count is a whole number: two steps of 1 / (c K).
    step = 2 / (centres * k)
    assert chance.low == pytest.approx(chance.expected - 1.96 * error, abs=step)
    assert chance.high == pytest.approx(chance.expected + 1.96 * error, abs=step)


def test_lists_of_all_candidates_always_agree():
    assert chance_overlap(4, 4, 10) == (1, 1, 1)


@pytest.mark.parametrize(
    "words", [(0, 5, 1, 0.9), (6, 5, 1, 0.9), (5, 5, 0, 0.9), (5, 5, 1, 1.0)]
)
def test_errors_name_the_values(words):
    with pytest.raises(ValueError, match=r"need 1 <= k .*\(got "):
        chance_overlap(*words)
