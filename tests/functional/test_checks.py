from __future__ import annotations

import pytest

from mmgraph.functional.checks import check_above_zero, check_at_least, check_share

NAN = float("nan")


@pytest.mark.parametrize(
    ("check", "accepted", "refused"),
    [
        (check_above_zero, [1e-9, 3], {0.0: "above 0", -1.0: "above 0", NAN: "above"}),
        (check_share, [0.0, 0.999], {1.0: r"lie in \[0, 1\)", -0.1: "lie", NAN: "lie"}),
        (lambda **o: check_at_least(2, **o), [2, 5], {1: "at least 2", -3: "at least"}),
    ],
)
def test_the_ends_of_each_range(check, accepted, refused):
    for value in accepted:
        check(rate=value)
    for value, words in refused.items():
        with pytest.raises(ValueError, match=rf"^'rate' must (be )?{words}.*got "):
            check(rate=value)


def test_the_first_option_out_of_range_is_named():
    with pytest.raises(ValueError, match=r"^'second' must be above 0 \(got -2\)$"):
        check_above_zero(first=1, second=-2, third=-3)
