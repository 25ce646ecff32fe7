from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from mmgraph.errors import UserError
from mmgraph.options import (
    CheckedOptions,
    DropRatio,
    Fraction,
    NonNegativeInt,
    Option,
    PositiveFloat,
    PositiveInt,
    Range,
    declared_options,
    fits,
)


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
        (PositiveInt, [1, 10**9], [0, -3, 1.0, True]),
        (NonNegativeInt | None, [0, None], [-1, "x"]),
        (PositiveFloat, [1e-12, 3], [0, -0.0, float("nan")]),
        (Fraction, [0, 1, 0.5], [-1e-9, 1.0001]),
        (DropRatio, [0, 0.999], [1, -0.1]),
        (Annotated[float, Range(0, 1, "(]")], [1, 1e-9], [0, 1.1]),
        (Annotated[float, Range(0, 1, "()")], [0.5], [0, 1]),
    ],
)
def test_a_value_fits_its_declaration_or_does_not(wanted, good, bad):
    assert all(fits(value, wanted) for value in good)
    assert not any(fits(value, wanted) for value in bad)


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (
            Literal["a", "b"],
            3,
            "SEA: 'x' must be one of 'a', 'b' (got 3) - correct the option",
        ),
        (int, 1.5, "SEA: 'x' must be an integer (got 1.5) - correct the option"),
        (PositiveInt, "s", "SEA: 'x' must be an integer at least 1 (got 's') - "),
        (PositiveInt, 0, "SEA: 'x' must be at least 1 (got 0) - correct the option"),
        (PositiveFloat, 0, "SEA: 'x' must be above 0 (got 0) - correct the option"),
        (DropRatio, 1.0, "SEA: 'x' must be in [0, 1) (got 1.0) - correct the option"),
        (PositiveInt | None, 0, "SEA: 'x' must be at least 1 or null (got 0) - "),
        (
            dict[str, float] | None,
            3,
            "SEA: 'x' must be a table of values by name, each a finite number or null",
        ),
    ],
)
def test_the_message_names_owner_option_domain_and_value(annotation, value, message):
    with pytest.raises(UserError) as caught:
        Option("x", annotation, None).check(value, "SEA")
    assert str(caught.value).startswith(message)


def test_annotations_that_are_unknown_at_run_time_are_not_checked():
    class Model(CheckedOptions):
        def __init__(self, *, a: Nowhere, b: int = 3) -> None: ...  # noqa: F821

    assert [o.annotation for o in declared_options(Model).values()] == [Any, Any]
    Model(a=object(), b="x")


class Base(CheckedOptions):
    """A class.

    Args:
        size: How large.
        rank: How many directions
            there are.
        other: Anything.

    Example:
        rank: not a note.
    """

    def __init__(self, size: PositiveInt, *, rank: PositiveInt = 8, other=3) -> None:
        self.size, self.rank, self.other = size, rank, other


class Heir(Base):
    """An heir.

    Args:
        extra: Its own.
    """

    def __init__(self, size: int, *, extra: bool = False, **options: Any) -> None:
        super().__init__(size, **options)
        self.extra = extra


def test_options_come_from_the_signature_and_notes_from_the_docstring():
    options = declared_options(Base)
    assert list(options) == ["rank", "other"]
    assert options["rank"].default == 8
    assert options["rank"].help == "How many directions there are."
    assert options["other"].annotation is Any


def test_options_that_are_passed_on_are_options_too():
    options = declared_options(Heir)
    assert list(options) == ["extra", "rank", "other"]
    assert options["extra"].help == "Its own."
    with pytest.raises(UserError, match=r"^Heir: 'rank' must be at least 1 \(got 0\)"):
        Heir(3, rank=0)
    with pytest.raises(UserError, match=r"^Heir: 'size' must be at least 1 \(got -2"):
        Heir(-2)
    with pytest.raises(UserError, match=r"^Heir: 'extra' must be true or false"):
        Heir(3, extra=1)
    assert Heir(3, rank=np.int64(2)).rank == 2


def test_other_errors_of_a_constructor_are_passed_on():
    class Broken(CheckedOptions):
        def __init__(self, *, rank: PositiveInt = 1) -> None:
            raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake") as caught:
        Broken(rank=3)
    assert not isinstance(caught.value, UserError)
    with pytest.raises(TypeError, match="unexpected keyword argument 'rnak'"):
        Broken(rnak=3)
