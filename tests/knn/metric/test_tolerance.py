from __future__ import annotations

from fractions import Fraction

import pytest

from mmgraph.knn.metric.tolerance import product_tolerance


@pytest.mark.parametrize(("metric", "largest"), [("cosine", 1), ("ip", 1), ("l2", 1.5)])
@pytest.mark.parametrize("dim", [1, 64, 4096])
def test_it_covers_twice_the_bound_of_a_sum_with_a_tenth_to_spare(metric, largest, dim):
    u = Fraction(1, 2**24)
    terms = dim + (metric == "l2")  # and the column of half the squared length
    bound = 2 * Fraction(largest) * terms * u
    got = Fraction(product_tolerance(dim, metric))
    assert bound < got
    assert got / (dim + 8) / u == pytest.approx(2.1 if largest == 1 else 3.2, rel=1e-12)
