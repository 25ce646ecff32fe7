from __future__ import annotations

from mmgraph.analysis.report.formatting import (
    change_text,
    decimals,
    interval_text,
    p_value_text,
    signed_interval_text,
    spread_text,
)
from mmgraph.analysis.statistics.intervals import Interval


def test_decimals_are_four():
    texts = [decimals(x) for x in (1.0, 0.05, -0.05, 10.5, -10.5, None)]
    assert texts == ["1.0000", "0.0500", "-0.0500", "10.5000", "-10.5000", ""]
    assert spread_text(0.07544, 0.00126) == "0.0754 ± 0.0013"


def test_changes_have_a_sign_and_per_cent():
    texts = [change_text(x) for x in (0.1087, -0.024, None)]
    assert texts == ["+10.9 %", "-2.4 %", ""]


def test_intervals_have_both_ends_or_nothing():
    ends = Interval(-0.004, 0.0915)
    assert interval_text(ends) == "-0.0040 to 0.0915"
    assert signed_interval_text(ends) == "-0.0040 to +0.0915"
    assert interval_text(None) == signed_interval_text(None) == ""


def test_small_p_values_are_not_told_apart():
    assert [p_value_text(p) for p in (0.0009, 0.001, 0.5, 1.0)] == [
        *("< 0.001", "0.001", "0.500", "1.000"),
    ]
