"""Options of constructors: declared once, in the signature, and checked there.

An option is a parameter that is keyword-only or has a default. Its annotation says what
it may be: a type, a ``Literal`` of choices, or a type with a :class:`Range`.
:class:`CheckedOptions` checks every construction against that, so that all doors refuse
the same names and values in the same words; the command line and the documentation read
the same declaration. What has to be given by position (``num_users``) is no option, but
is checked alike.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

import numpy as np

from mmgraph.errors import UserError, unknown_name

_KINDS = {
    int: "an integer",
    float: "a finite number",
    bool: "true or false",
    str: "text",
    NoneType: "null",
}
_Kind = inspect.Parameter
_BY_POSITION = {_Kind.POSITIONAL_ONLY, _Kind.POSITIONAL_OR_KEYWORD}
_BY_NAME = {_Kind.POSITIONAL_OR_KEYWORD, _Kind.KEYWORD_ONLY}

_GIVEN = "_given_options"


@dataclass(frozen=True)
class Range:
    """An interval that a number has to lie in.

    Args:
        low: Lower end; none with None.
        high: Upper end; none without it.
        ends: Brackets of the ends: ``"["`` and ``"]"`` belong to the interval, ``"("``
            and ``")"`` do not.

    Example:
        >>> 1.0 in Range(0, 1, "[)"), str(Range(0, 1, "[)")), str(Range(1))
        (False, 'in [0, 1)', 'at least 1')
    """

    low: float | None
    high: float | None = None
    ends: Literal["[]", "[)", "(]", "()"] = "[]"

    def __contains__(self, value: float) -> bool:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        above = value >= low if self.ends[0] == "[" else value > low
        return above and (value <= high if self.ends[1] == "]" else value < high)

    def __str__(self) -> str:
        if self.low is None:
            return f"{'at most' if self.ends[1] == ']' else 'below'} {self.high}"
        if self.high is None:
            return f"{'at least' if self.ends[0] == '[' else 'above'} {self.low}"
        return f"in {self.ends[0]}{self.low}, {self.high}{self.ends[1]}"


@dataclass(frozen=True)
class Distinct:
    """A list that is not empty and has nothing twice.

    Example:
        >>> (10, 20) in Distinct(), (10, 10) in Distinct(), () in Distinct()
        (True, False, False)
    """

    def __contains__(self, values: Collection[Any]) -> bool:
        return len(values) > 0 and len(set(values)) == len(values)

    def __str__(self) -> str:
        return "one or more, all different"


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
#: Layers of a network or steps over a graph: ten times what anyone has trained.
LayerCount = Annotated[int, Range(0), Range(None, 1000)]
PositiveLayerCount = Annotated[int, Range(1), Range(None, 1000)]
#: Dimension of embeddings and hidden layers: more is a slip, and no memory holds it.
Dimension = Annotated[int, Range(1), Range(None, 2**16)]
#: Length of a list of neighbours that is kept for every user.
ListLength = Annotated[int, Range(0), Range(None, 2**16)]
#: Dimension of raw features, which may be one column per word or tag.
FeatureDimension = Annotated[int, Range(1), Range(None, 2**24)]
#: Users or items: the number of a pair of them has to fit into 64 bits.
NodeCount = Annotated[int, Range(1), Range(None, 2**31 - 1)]
#: Dimension of each modality's features or embeddings.
Dims = dict[str, FeatureDimension]
#: Weight of each modality.
ModalityWeights = dict[str, NonNegativeFloat]
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
        domain = self.domain
        if fits(value, _without_ranges(self.annotation)):
            missed = _domain(_ranges_missed(value, self.annotation))
            domain = re.sub(r"^(an integer|a number|a list,.*?,) ", "", missed)
        raise UserError(
            f"'{self.name}' must be {domain} (got {shown(value)})",
            "correct the option",
            owner=owner,
        )


def declared_options(constructed: type) -> dict[str, Option]:
    """The options of a constructor, by name and in their order.

    They are its parameters that are keyword-only or have a default, in any base class
    too: one that passes ``**options`` on also has those of the constructor after it,
    mixins included. Annotations that are not known at run time (imported for the type
    checker alone) are taken as anything.

    Args:
        constructed: The class.

    Example:
        >>> class Model:
        ...     def __init__(self, *, rank: PositiveInt = 8, other=3): ...
        >>> declared_options(Model)["rank"].domain, list(declared_options(Model))
        ('an integer at least 1', ['rank', 'other'])
    """
    sizes = getattr(constructed, "sizes", ())
    arguments = _arguments(constructed, constructed).items()
    return {n: a.option for n, a in arguments if a.is_option and n not in sizes}


def unknown_option(name: str, *owners: type) -> UserError:
    """The error about an option that none of the classes has.

    Args:
        name: The name.
        owners: Classes that could have it; the first is named.

    Example:
        >>> class Model:
        ...     def __init__(self, *, rank: PositiveInt = 8): ...
        >>> print(unknown_option("rnak", Model))
        unknown option 'rnak' of Model - did you mean 'rank'? choose from rank
    """
    known = {option for owner in owners for option in declared_options(owner)}
    return unknown_name("option", name, sorted(known), of=owners[0].__name__)


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
    """Base of classes whose constructors refuse unknown options and values.

    Nothing is to be done in the subclass: what :func:`declared_options` lists is what
    is checked, whoever calls the constructor and whichever base class or mixin declares
    it. What is refused is a :class:`~mmgraph.errors.UserError` that names the class. A
    constructor refuses options that do not go together by one with the owner ``""``,
    which gets that name, too. Any other error of a constructor is an error of its
    author and is passed on as it is.

    Example:
        >>> class Model(CheckedOptions):
        ...     def __init__(self, *, dropout: DropRatio = 0.5) -> None: ...
        >>> Model(dropout=1.0)
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: Model: 'dropout' must be in [0, 1) (got 1.0) - \
correct the option
    """

    #: Arguments that are no options, though they may have a default.
    sizes: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        init = cls.__init__
        is_own = "__init__" in vars(cls)
        if is_own or not (hasattr(init, "is_checked") or init is object.__init__):
            # The declared constructor, also one of a mixin, with a check before it.
            cls.__init__ = _checked(init, cls, is_own)  # type: ignore[method-assign]


def fits(value: Any, annotation: Any) -> bool:
    """True if a value is of a type; also for types that options do not usually have.

    Example:
        >>> fits(None, float | None), fits(True, int), fits({"a": 1}, dict[str, float])
        (True, False, True)
    """
    origin, parts = get_origin(annotation) or annotation, get_args(annotation)
    if origin is Annotated:
        return fits(value, parts[0]) and not _missed(value, parts[1:])
    if origin in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if annotation in (None, NoneType):
        return value is None
    if annotation is int:  # as tensors hold it, in 64 bits
        is_integer = isinstance(value, Integral) and not isinstance(value, bool)
        return is_integer and -(2**63) <= int(value) < 2**63
    if annotation is float:
        return _is_finite(value)
    if origin in (dict, Mapping):
        key, content = parts or (Any, Any)
        return isinstance(value, Mapping) and all(
            fits(k, key) and fits(v, content) for k, v in value.items()
        )
    if origin in (list, tuple, Sequence):
        return _fits_list(value, parts)
    return annotation is Any or _is_instance(value, origin)


def _fits_list(value: Any, parts: tuple[Any, ...]) -> bool:
    """True for a list or tuple of values of the types; which of the two is the same."""
    if not isinstance(value, list | tuple):
        return False
    if len(parts) > 1 and parts[-1] is not Ellipsis:
        return len(value) == len(parts) and all(map(fits, value, parts))
    return all(fits(each, parts[0]) for each in value) if parts else True


def _is_finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def _is_instance(value: Any, kind: Any) -> bool:
    """True too for what cannot be told: type variables, protocols."""
    try:
        return isinstance(value, kind)
    except TypeError:
        return True


def shown(value: Any) -> str:
    """A value in a message: one line, and not a long one.

    Example:
        >>> shown("x"), shown([0] * 99), shown(10**5000)
        ("'x'", '[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,...', 'int')
    """
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python writes no integer of thousands of digits
        text = type(value).__name__
    return text if len(text) <= 80 else f"{text[:57]}..."


@dataclass(frozen=True)
class _Argument:
    """One argument of a constructor or of those that it passes ``**options`` on to."""

    option: Option
    is_option: bool


def _checked(
    init: Callable[..., None], owner: type, is_own: bool
) -> Callable[..., None]:
    """The constructor, which looks at its arguments before anything else."""

    @wraps(init)
    def construct(self: Any, *args: Any, **kwargs: Any) -> None:
        constructed: Any = type(self)
        args = tuple(map(_of_python, args))
        kwargs = {name: _of_python(value) for name, value in kwargs.items()}
        arguments = _arguments(constructed, owner)
        is_outermost = constructed.__init__ is construct
        # The constructor of a subclass comes first: what it was given stays.
        recorded = vars(self).setdefault(_GIVEN, {})
        try:
            for name, value in _given(init, args, kwargs):
                if name in arguments:
                    arguments[name].option.check(value, constructed.__name__)
                    recorded.setdefault(name, value)
                elif is_outermost:  # else it is not the caller who wrote it
                    raise unknown_option(name, constructed)
            init(self, *args, **kwargs)
        except UserError as error:
            if error.owner is None:  # not about the options
                raise
            name = constructed.__name__  # and not that of a part inside
            raise UserError(error.fault, error.fix, owner=name) from None

    construct.is_checked = True  # type: ignore[attr-defined]
    construct.is_own = is_own  # type: ignore[attr-defined]
    return construct


def _of_python(value: Any) -> Any:
    """Python's number for one of NumPy's, which would be spelt otherwise."""
    return value.item() if isinstance(value, np.generic) else value


def _given(
    init: Callable[..., None], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Names and values of the arguments of a call."""
    by_position = [p.name for p in _parameters(init) if p.kind in _BY_POSITION]
    yield from zip(by_position, args, strict=False)
    yield from kwargs.items()


@cache
def _arguments(constructed: type, start: type) -> dict[str, _Argument]:
    """The named arguments of a constructor, by name.

    Args:
        constructed: The class of the object.
        start: The base class whose constructor it is; what that passes on goes to the
            constructor after it in the order of ``constructed``.
    """
    order = constructed.__mro__[constructed.__mro__.index(start) :]
    notes: dict[str, str] = {}
    for owner in reversed(order):
        notes |= _argument_notes(owner.__doc__ or "")
    arguments: dict[str, _Argument] = {}
    for owner in order:
        init = vars(owner).get("__init__")
        if init is None or not getattr(init, "is_own", True):
            continue
        parameters = _parameters(init)
        for p in parameters:
            if p.kind in _BY_NAME and p.name not in arguments:
                annotation = Any if p.annotation is p.empty else p.annotation
                option = Option(p.name, annotation, p.default, notes.get(p.name, ""))
                is_option = p.kind is p.KEYWORD_ONLY or p.default is not p.empty
                arguments[p.name] = _Argument(option, is_option)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return arguments


@cache
def _parameters(init: Callable[..., None]) -> list[inspect.Parameter]:
    """The parameters of a constructor, without ``self``."""
    return list(_signature(init).parameters.values())[1:]


def _signature(init: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(init, eval_str=True)
    except NameError:  # an annotation imported for the type checker alone
        signature = inspect.signature(init)
        unknown = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
        return signature.replace(parameters=unknown)


def _missed(value: Any, conditions: tuple[Any, ...]) -> list[Any]:
    """Ranges and the like that a value of the right type does not meet."""
    kinds = [each for each in conditions if isinstance(each, Range | Distinct)]
    return [each for each in kinds if value not in each]


def _ranges_missed(value: Any, annotation: Any) -> Any:
    """The annotation with those ranges alone that a value does not meet."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated and fits(value, parts[0]):
        missed = _missed(value, parts[1:])
        return Annotated[(parts[0], *missed)]
    if origin in (Union, UnionType):
        return Union[tuple(_ranges_missed(value, part) for part in parts)]  # noqa: UP007
    return annotation


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
        separator = ", " if get_origin(parts[0]) else " "
        return separator.join([kind, " and ".join(map(str, parts[1:]))])
    if origin in (Union, UnionType):
        return " or ".join(_domain(part) for part in parts)
    if origin is Literal:
        one_of = "one of " if len(parts) > 1 else ""
        return f"{one_of}{', '.join(map(repr, parts))}"
    if origin in (dict, Mapping):
        each = f", each {_domain(parts[1])}" if parts else ""
        return f"a mapping of names to values{each}"
    if origin in (list, tuple, Sequence):
        return ", ".join(["a list", *(f"each {_domain(part)}" for part in parts[:1])])
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
