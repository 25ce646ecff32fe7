from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pytest

from mmgraph.errors import UserError
from mmgraph.options import check_types, fits, option_types


@pytest.mark.parametrize(
    ("wanted", "good", "bad"),
    [
        (int, [3, np.int64(3)], [3.0, "3", True, None]),
        (float, [3, 0.5, np.float32(0.5)], ["x", False, None, float("inf"), [1.0]]),
        (bool, [True], [1, "true", None]),
        (str, ["x", ""], [1, None, ["x"]]),
        (float | None, [None, 1], ["x", True]),
        (Literal["a", 1], ["a", 1], ["b", True, None]),
        (dict[str, float] | None, [None, {}, {"a": 1}], [3, {"a": "x"}, {1: 1.0}]),
        (Mapping[str, int], [{"a": 1}], [{"a": 1.5}, [1]]),
        (dict, [{1: None}], [[1]]),
        (Any, [None, 1, "x"], []),
        (tuple[int, ...], [(1, 2), [1], "anything"], []),  # of no use to options yet
    ],
)
def test_a_value_fits_its_type_or_does_not(wanted, good, bad):
    assert all(fits(value, wanted) for value in good)
    assert not any(fits(value, wanted) for value in bad)


def test_the_message_names_owner_option_type_and_value():
    types = {"align": Literal["a", "b"], "w": dict[str, float] | None}
    expected = r"SEA: option align must be one of 'a', 'b' \(got 3\) - correct the opt"
    with pytest.raises(UserError, match=expected):
        check_types({"align": 3}, types, "SEA")
    expected = "w must be a table of values by name, each a finite number or null"
    with pytest.raises(UserError, match=expected):
        check_types({"w": 3}, types, "SEA")


def test_a_constructor_whose_annotations_are_unknown_is_not_checked():
    def build(*, a: Nowhere, b: int = 3): ...  # noqa: F821

    assert option_types(build) == {}
