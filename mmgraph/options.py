"""Options of constructors: declared once, in the signature, and checked there.

An option is a keyword-only parameter. Its annotation says what it may be: a type, a
``Literal`` of choices, or a type with a :class:`Range`. :class:`CheckedOptions` checks
every construction against that, so that all doors refuse the same values in the same
words; the command line and the documentation read the same declaration.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, wraps
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from mmgraph.errors import UserError

_KINDS = {
    int: "an integer",
    float: "a finite number",
    bool: "true or false",
    str: "a word",
    NoneType: "null",
}

_GIVEN = "_given_options"


@dataclass(frozen=True)
class Range:
    """An interval that a number has to lie in.

    Args:
        low: Lower end.
        high: Upper end; none without it.
        ends: Brackets of the ends: ``"["`` and ``"]"`` belong to the interval, ``"("``
            and ``")"`` do not.

    Example:
        >>> 1.0 in Range(0, 1, "[)"), str(Range(0, 1, "[)")), str(Range(1))
        (False, 'in [0, 1)', 'at least 1')
    """

    low: float
    high: float | None = None
    ends: Literal["[]", "[)", "(]", "()"] = "[]"

    def __contains__(self, value: float) -> bool:
        above = value >= self.low if self.ends[0] == "[" else value > self.low
        if self.high is None:
            return above
        return above and (
            value <= self.high if self.ends[1] == "]" else value < self.high
        )

    def __str__(self) -> str:
        if self.high is not None:
            return f"in {self.ends[0]}{self.low}, {self.high}{self.ends[1]}"
        return f"{'at least' if self.ends[0] == '[' else 'above'} {self.low}"


PositiveInt = Annotated[int, Range(1)]
NonNegativeInt = Annotated[int, Range(0)]
PositiveFloat = Annotated[float, Range(0, ends="(]")]
NonNegativeFloat = Annotated[float, Range(0)]
#: Both ends belong to it.
Fraction = Annotated[float, Range(0, 1)]
#: A part that cannot be nothing.
PositiveFraction = Annotated[float, Range(0, 1, "(]")]
#: What is dropped or masked, of which something has to be left.
DropRatio = Annotated[float, Range(0, 1, "[)")]
#: ``"paper"``, or ``"released"`` for what the public code does.
Fidelity = Literal["paper", "released"]


@dataclass(frozen=True)
class Option:
    """One declared option.

    Args:
        name: Its name.
        annotation: Type, choices or range, as in the signature.
        default: Its default.
        help: Its entry in the class's docstring.
    """

    name: str
    annotation: Any
    default: Any
    help: str = ""

    @property
    def domain(self) -> str:
        """The admissible values in words.

        Example:
            >>> Option("dropout", DropRatio | None, None).domain
            'a number in [0, 1) or null'
        """
        return _domain(self.annotation)

    def check(self, value: Any, owner: str) -> None:
        """Refuse a value that the option may not have.

        An integer is also a number; true and false are not.

        Args:
            value: The value.
            owner: Whose option it is, for the message.

        Raises:
            UserError: If the value is of another type, no choice, or out of range.

        Example:
            >>> Option("rank", NonNegativeInt, 8).check(-1, "CLEAR")
            Traceback (most recent call last):
            ...
            mmgraph.errors.UserError: CLEAR: 'rank' must be at least 0 (got -1) - \
correct the option
        """
        if fits(value, self.annotation):
            return
        plain = _without_ranges(self.annotation)
        domain = self.domain
        if plain != self.annotation and fits(value, plain):
            domain = domain.removeprefix("an integer ").removeprefix("a number ")
        raise UserError(
            f"{owner}: '{self.name}' must be {domain} (got {value!r})",
            "correct the option",
        )


def declared_options(constructed: type) -> dict[str, Option]:
    """The keyword-only options of a constructor, by name and in their order.

    A constructor that passes ``**options`` on also has those of the class above it.
    Annotations that are not known at run time (imported for the type checker alone) are
    taken as anything.

    Args:
        constructed: The class.

    Example:
        >>> class Model:
        ...     def __init__(self, *, rank: PositiveInt = 8, other=3): ...
        >>> declared_options(Model)["rank"].domain, list(declared_options(Model))
        ('an integer at least 1', ['rank', 'other'])
    """
    own: dict[str, Option] = {}
    for owner in constructed.__mro__:
        if "__init__" not in vars(owner):
            continue
        parameters = _signature(vars(owner)["__init__"]).parameters.values()
        notes = _argument_notes(owner.__doc__ or "")
        for p in parameters:
            if p.kind is p.KEYWORD_ONLY and p.name not in own:
                annotation = Any if p.annotation is p.empty else p.annotation
                note = notes.get(p.name, "")
                own[p.name] = Option(p.name, annotation, p.default, note)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return own


def options_of(constructed: CheckedOptions) -> dict[str, Any]:
    """The options that an object was constructed with, defaults included.

    Example:
        >>> class Model(CheckedOptions):
        ...     def __init__(self, *, rank: int = 8, dropout: float = 0.5) -> None: ...
        >>> options_of(Model(rank=4))
        {'rank': 4, 'dropout': 0.5}
    """
    declared = declared_options(type(constructed))
    defaults = {name: option.default for name, option in declared.items()}
    options: dict[str, Any] = defaults | vars(constructed).get(_GIVEN, {})
    return options


class CheckedOptions:
    """Base of classes whose constructors refuse options out of their declared range.

    Nothing is to be done in the subclass: each ``__init__`` is checked, whoever calls
    it. What is refused is a :class:`~mmgraph.errors.UserError`; any other error of a
    constructor is an error of its author and is passed on as it is.

    Example:
        >>> class Model(CheckedOptions):
        ...     def __init__(self, *, dropout: DropRatio = 0.5) -> None: ...
        >>> Model(dropout=1.0)
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: Model: 'dropout' must be in [0, 1) (got 1.0) - \
correct the option
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            # The declared constructor, with a check before it.
            cls.__init__ = _checked(cls.__init__)  # type: ignore[method-assign]


def fits(value: Any, annotation: Any) -> bool:
    """True if a value is of a type; also for types that options do not usually have.

    Example:
        >>> fits(None, float | None), fits(True, int), fits({"a": 1}, dict[str, float])
        (True, False, True)
    """
    origin, parts = get_origin(annotation) or annotation, get_args(annotation)
    if origin is Annotated:
        ranges = [part for part in parts[1:] if isinstance(part, Range)]
        return fits(value, parts[0]) and all(value in r for r in ranges)
    if origin in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return any(value == part and type(value) is type(part) for part in parts)
    if annotation in (None, NoneType):
        return value is None
    if annotation in (bool, str):
        return isinstance(value, annotation)
    if annotation is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if annotation is float:
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        return is_number and math.isfinite(value)
    if origin in (dict, Mapping):
        key, content = parts or (Any, Any)
        return isinstance(value, Mapping) and all(
            fits(k, key) and fits(v, content) for k, v in value.items()
        )
    return True


def _checked(init: Callable[..., None]) -> Callable[..., None]:
    """The constructor, which looks at its arguments before anything else."""

    @wraps(init)
    def construct(self: Any, *args: Any, **kwargs: Any) -> None:
        options, positional = _declarations(init)
        given = dict(zip(positional, args, strict=False)) | kwargs
        # The constructor of a subclass comes first: what it was given stays.
        recorded = vars(self).setdefault(_GIVEN, {})
        for name, value in given.items():
            if name in options:
                options[name].check(value, type(self).__name__)
                recorded.setdefault(name, value)
        init(self, *args, **kwargs)

    return construct


@cache
def _declarations(init: Callable[..., None]) -> tuple[dict[str, Option], list[str]]:
    """The declarations of a constructor, and the names of its positional parameters.

    Of the positional ones only those with a range or choices are declarations.
    """
    parameters = list(_signature(init).parameters.values())[1:]  # without self
    options = {
        p.name: Option(p.name, p.annotation, p.default)
        for p in parameters
        if p.annotation is not p.empty
        and (p.kind is p.KEYWORD_ONLY or _is_declaration(p.annotation))
    }
    return options, [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]


def _signature(init: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(init, eval_str=True)
    except NameError:  # an annotation imported for the type checker alone
        signature = inspect.signature(init)
        unknown = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
        return signature.replace(parameters=unknown)


def _is_declaration(annotation: Any) -> bool:
    parts = (annotation, *get_args(annotation))
    return any(get_origin(part) in (Annotated, Literal) for part in parts)


def _without_ranges(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        return Union[tuple(map(_without_ranges, get_args(annotation)))]  # noqa: UP007
    return annotation


def _domain(annotation: Any) -> str:
    origin, parts = get_origin(annotation) or annotation, get_args(annotation)
    if origin is Annotated:
        kind = "a number" if parts[0] is float else _domain(parts[0])
        return " ".join([kind, *map(str, parts[1:])])
    if origin in (Union, UnionType):
        return " or ".join(_domain(part) for part in parts)
    if origin is Literal:
        return f"one of {', '.join(map(repr, parts))}"
    if origin in (dict, Mapping):
        each = f", each {_domain(parts[1])}" if parts else ""
        return f"a table of values by name{each}"
    return _KINDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _argument_notes(docstring: str) -> dict[str, str]:
    """The entries of a docstring's ``Args`` section, by name, as plain lines."""
    _, _, after = inspect.cleandoc(docstring).partition("Args:\n")
    notes: dict[str, list[str]] = {}
    for line in after.splitlines():
        entry = re.fullmatch(r" {4}(\w+): (.*)", line)
        if entry is not None:
            notes[entry[1]] = lines = [entry[2]]
        elif line.startswith("     ") and notes:
            lines.append(line)
        elif line.strip():
            break
    return {name: _plain(" ".join(lines)) for name, lines in notes.items()}


def _plain(note: str) -> str:
    r"""A note without the marks of reStructuredText.

    Example:
        >>> _plain(r"Weight :math:`\lambda_r` of :math:`\mathbf{X}`: ``0`` is none.")
        'Weight lambda_r of X: 0 is none.'
        >>> _plain("See :class:`~a.b.Model`.")
        'See Model.'
    """
    note = re.sub(r"\\math\w+\{(\w+)\}", r"\1", note)
    note = re.sub(r":math:`([^`]*)`", lambda m: m[1].replace("\\", ""), note)
    note = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"\1", note)
    return " ".join(note.replace("``", "").split())
