from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.models import MFBPR
from mmgraph.options import (
    CheckedOptions,
    Dimension,
    Distinct,
    DropRatio,
    Fraction,
    LayerCount,
    ModalityWeights,
    NonNegativeInt,
    Option,
    PositiveFloat,
    PositiveInt,
    Range,
    declared_options,
    fits,
    options_of,
    unknown_option,
)

CutOffs = Annotated[tuple[PositiveInt, ...], Distinct()]


@pytest.mark.parametrize(
    ("wanted", "good", "bad"),
    [
        (int, [3, np.int64(3), -(2**63)], [3.0, "3", True, None, 2**63, 10**400]),
        (float, [3, 0.5, np.float32(0.5)], ["x", False, None, float("inf"), [1.0]]),
        (bool, [True], [1, "true", None]),
        (str, ["x", ""], [1, None, ["x"]]),
        (float | None, [None, 1], ["x", True]),
        (Literal["a", 1], ["a", 1], ["b", True, None]),
        (dict[str, float] | None, [None, {}, {"a": 1}], [3, {"a": "x"}, {1: 1.0}]),
        (Mapping[str, int], [{"a": 1}], [{"a": 1.5}, [1]]),
        (dict, [{1: None}], [[1]]),
        (Any, [None, 1, "x"], []),
        (tuple[int, ...], [(1, 2), [1], ()], ["anything", 3, (1, "x"), (True,)]),
        (tuple[float, float], [(1, 0.5), [1, 2]], [(1,), (1, 2, 3), "ab"]),
        (Sequence[str] | None, [["a"], ("a", "b"), None], ["a", [1], {"a"}]),
        (Annotated[tuple[PositiveInt, ...], Distinct()], [(5, 1)], [(), (1, 1), (0,)]),
        (str | torch.device, ["cpu", torch.device("cpu")], [3, None]),
        (LayerCount, [0, 1000], [-1, 1001, 10**9]),
        (Dimension | None, [1, 65536, None], [0, 65537, True]),
        (ModalityWeights, [{}, {"a": 0, "b": 2.0}], [{"a": -0.1}, {"a": float("nan")}]),
        (Literal["a"], ["a"], [np.zeros(3), np.array("a"), None]),
        (Fraction, [], [10**400, np.zeros(3), torch.zeros(1)]),
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
            "SEA: 'x' must be a mapping of names to values, each a finite number or ",
        ),
        (str, 3, "SEA: 'x' must be text (got 3) - correct the option"),
        (LayerCount, 10**9, "SEA: 'x' must be at most 1000 (got 1000000000) - correct"),
        (LayerCount, -1, "SEA: 'x' must be at least 0 (got -1) - correct"),
        (
            Dimension | None,
            "s",
            "SEA: 'x' must be an integer at least 1 and at most 65536 or null (got ",
        ),
        (
            CutOffs,
            (10, 10),
            "SEA: 'x' must be one or more, all different (got (10, 10)) - ",
        ),
        (
            CutOffs,
            (10, 0),
            "SEA: 'x' must be a list, each an integer at least 1, one or more, all "
            "different (got (10, 0)) - correct the option",
        ),
        (
            PositiveInt,
            torch.zeros(2, 2),
            "SEA: 'x' must be an integer at least 1 (got ",
        ),
        (float, [0] * 10**5, "SEA: 'x' must be a finite number (got [0, 0, 0, 0, 0, 0"),
    ],
)
def test_the_message_names_owner_option_domain_and_value(annotation, value, message):
    with pytest.raises(UserError) as caught:
        Option("x", annotation, None).check(value, "SEA")
    assert str(caught.value).startswith(message)
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


def test_a_number_of_thousands_of_digits_is_refused_in_one_line():
    with pytest.raises(UserError, match=r"'x' must be a finite number \(got int\)"):
        Option("x", float, None).check(10**5000, "SEA")


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
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        Base()
    with pytest.raises(TypeError, match="unexpected keyword argument 'rnak'"):
        Slip()


class Slip(Base):
    """Its author has misspelt an option; no caller can mend that."""

    def __init__(self) -> None:
        super().__init__(1, rnak=3)


class Mixin:
    """Not under the base of checked constructors.

    Args:
        depth: How deep.
    """

    def __init__(self, *args: Any, depth: PositiveInt = 2, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.depth = depth


class Mixed(Mixin, Base):
    """Has no constructor of its own."""


class Topped(Mixed):
    """Has one.

    Args:
        cap: Its own.
    """

    def __init__(self, size: int, cap: PositiveInt = 1, **options: Any) -> None:
        super().__init__(size, **options)
        self.cap = cap


class Copied(Mixed):
    """Inherits that of the mixin a second time."""


@pytest.mark.parametrize("mixed", [Mixed, Topped, Copied])
def test_options_of_a_mixin_are_listed_and_checked(mixed):
    options = declared_options(mixed)
    assert {"depth", "rank", "other"} <= set(options)
    assert options["depth"].help == "How deep."
    assert (mixed(3, depth=4, rank=2).depth, mixed(3, rank=2).rank) == (4, 2)
    for name in ("depth", "rank"):
        match = rf"^{mixed.__name__}: '{name}' must be at least 1 \(got 0\)"
        with pytest.raises(UserError, match=match):
            mixed(3, **{name: 0})


def test_an_option_that_may_be_given_by_position_is_listed_and_checked():
    assert list(declared_options(Topped)) == ["cap", "depth", "rank", "other"]
    assert Topped(3, 5).cap == Topped(3, cap=5).cap == 5
    for build in (lambda: Topped(3, 0), lambda: Topped(3, cap=0)):
        with pytest.raises(UserError, match=r"^Topped: 'cap' must be at least 1"):
            build()
    assert "size" not in declared_options(Topped)  # it has no default


@pytest.mark.parametrize("mixed", [Base, Mixed, Topped, Copied])
def test_an_unknown_option_is_refused_in_the_words_of_all_doors(mixed):
    known = ", ".join(sorted(declared_options(mixed)))
    message = (
        f"unknown option 'rnak' of {mixed.__name__} - did you mean 'rank'? "
        f"choose from {known}"
    )
    with pytest.raises(UserError) as caught:
        mixed(3, rnak=3)
    assert str(caught.value) == message == str(unknown_option("rnak", mixed))


class Part(CheckedOptions):
    def __init__(self, *, low: int = 0, high: int = 1) -> None:
        if low > high:
            raise UserError("'low' must not exceed 'high'", "swap them", owner="")
        if low == high:
            raise UserError("nothing between", "add something")


class Whole(CheckedOptions):
    def __init__(self, *, start: int = 0) -> None:
        self.part = Part(low=start)


def test_a_refusal_of_options_together_names_what_was_constructed():
    with pytest.raises(UserError, match=r"^Part: 'low' must not exceed .* - swap them"):
        Part(low=2)
    with pytest.raises(UserError, match=r"^Whole: 'low' must not exceed"):
        Whole(start=2)
    with pytest.raises(UserError, match=r"^nothing between - add something"):
        Whole(start=1)  # not about options


def test_numbers_of_numpy_are_those_of_python():
    options = {"embedding_dim": np.int64(8), "reg_weight": np.float64(0.5)}
    model = MFBPR(np.int64(3), 5, **options)
    assert repr(model) == repr(MFBPR(3, 5, embedding_dim=8, reg_weight=0.5))
    assert type(options_of(model)["embedding_dim"]) is int
