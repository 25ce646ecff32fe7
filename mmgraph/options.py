"""Whether the value of an option is of the type that the constructor names."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from mmgraph.errors import UserError

_WORDS = {
    int: "an integer",
    float: "a finite number",
    bool: "true or false",
    str: "a word",
    NoneType: "null",
}


def option_types(constructor: Callable[..., Any]) -> dict[str, Any]:
    """Annotations of the keyword-only options, by name.

    Those of a class outside the package may be missing or not be known at run time;
    its options are then taken as they come.

    Example:
        >>> def build(dims, *, rank: int = 8, energy: float | None = None, other=3): ...
        >>> option_types(build)
        {'rank': <class 'int'>, 'energy': float | None}
    """
    try:
        signature = inspect.signature(constructor, eval_str=True)
    except NameError:  # imported for the type checker alone
        return {}
    return {
        p.name: p.annotation
        for p in signature.parameters.values()
        if p.kind is p.KEYWORD_ONLY and p.annotation is not p.empty
    }


def check_types(
    options: Mapping[str, Any], types: Mapping[str, Any], owner: str
) -> None:
    """Refuse the first option whose value is of another type.

    An integer will do where a number is wanted; true and false are no numbers.

    Args:
        options: Values by name; names without a type are passed over.
        types: Types by name, as :func:`option_types` gives them.
        owner: Whose options they are, for the message.

    Raises:
        UserError: If a value is of another type.

    Example:
        >>> check_types({"lr": 1, "rank": 2}, {"lr": float, "rank": int}, "CLEAR")
        >>> check_types({"rank": 1.5}, {"rank": int}, "CLEAR")
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: CLEAR: option rank must be an integer (got 1.5) - \
correct the option
    """
    for name, value in options.items():
        if name in types and not fits(value, types[name]):
            raise UserError(
                f"{owner}: option {name} must be {_words(types[name])} (got {value!r})",
                "correct the option",
            )


def fits(value: Any, wanted: Any) -> bool:
    """Whether a value is of a type; True for types that options do not usually have.

    Example:
        >>> fits(None, float | None), fits(True, int), fits({"a": 1}, dict[str, float])
        (True, False, True)
    """
    origin, parts = get_origin(wanted) or wanted, get_args(wanted)
    if origin in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return any(value == part and type(value) is type(part) for part in parts)
    if wanted in (None, NoneType):
        return value is None
    if wanted in (bool, str):
        return isinstance(value, wanted)
    if wanted is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if wanted is float:
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        return is_number and math.isfinite(value)
    if origin in (dict, Mapping):
        key, content = parts or (Any, Any)
        return isinstance(value, Mapping) and all(
            fits(k, key) and fits(v, content) for k, v in value.items()
        )
    return True


def _words(wanted: Any) -> str:
    origin, parts = get_origin(wanted) or wanted, get_args(wanted)
    if origin in (Union, UnionType):
        return " or ".join(_words(part) for part in parts)
    if origin is Literal:
        return f"one of {', '.join(map(repr, parts))}"
    if origin in (dict, Mapping):
        each = f", each {_words(parts[1])}" if parts else ""
        return f"a table of values by name{each}"
    return _WORDS.get(wanted, getattr(wanted, "__name__", str(wanted)))
