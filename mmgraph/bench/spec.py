"""Names of systems on the command line and in recipes.

``NAME[+PLUGIN][@FIDELITY][:option=value,option=value]``, for example
``FREEDOM+CLEAR:strength=0`` or ``SEA@released``.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from mmgraph.errors import UserError, unknown_name
from mmgraph.models.registry import VARIANTS
from mmgraph.options import Fidelity

_GRAMMAR = re.compile(
    r"(?P<model>[A-Za-z][\w-]*)"
    r"(?:\+(?P<plugin>[A-Za-z]\w*))?"
    r"(?:@(?P<fidelity>\w+))?"
    r"(?::(?P<options>.+))?"
)
FIDELITIES: tuple[str, ...] = get_args(Fidelity)
#: Far above what an option could mean; an integer has to fit into 64 bits.
_MOST_CHARACTERS, _MOST_LEVELS, _INTEGERS = 2_000, 20, range(-(2**63), 2**63)


@dataclass(frozen=True)
class ModelSpec:
    """One system: a model, perhaps a plug-in, and the options that differ.

    ``str(spec)`` is the canonical spelling and parses back to an equal spec.

    Example:
        >>> str(ModelSpec("FREEDOM", "CLEAR", options={"strength": 0}))
        'FREEDOM+CLEAR:strength=0'
    """

    model: str
    plugin: str | None = None
    fidelity: str = "paper"
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        text = self.model
        if self.plugin:
            text += f"+{self.plugin}"
        if self.fidelity != "paper":
            text += f"@{self.fidelity}"
        if self.options:
            text += ":" + format_options(self.options)
        return text

    def ancestors(self) -> list[ModelSpec]:
        """The systems this one is a variant of, the nearest first.

        Example:
            >>> [str(a) for a in parse_spec("VBPR+CLEAR:strength=0").ancestors()]
            ['VBPR+CLEAR', 'VBPR']
            >>> [str(a) for a in parse_spec("SEAb").ancestors()]
            ['SEA']
        """
        base, _ = VARIANTS.get(self.model, (self.model, {}))
        ancestors: list[ModelSpec] = []
        for model, fidelity, plugin in itertools.product(
            (self.model, base), (self.fidelity, "paper"), (self.plugin, None)
        ):
            candidate = ModelSpec(model, plugin, fidelity)
            if candidate != self and candidate not in ancestors:
                ancestors.append(candidate)
        return ancestors


def parse_spec(text: str) -> ModelSpec:
    """Read ``NAME[+PLUGIN][@FIDELITY][:option=value,...]``.

    Args:
        text: The spec. Names are kept as written; the registry of models decides
            whether they exist.

    Raises:
        UserError: If the text does not follow the grammar.

    Example:
        >>> parse_spec("SEA@released:align_weight=0,distance='mim'").options
        {'align_weight': 0, 'distance': 'mim'}
    """
    _check_length("the model", text)
    match = _GRAMMAR.fullmatch(text.strip())
    if match is None:
        raise UserError(
            f"cannot read the model {text!r}",
            "write NAME[+PLUGIN][@released][:option=value,option=value]",
        )
    fidelity = match["fidelity"] or "paper"
    if fidelity not in FIDELITIES:
        raise UserError(
            f"unknown fidelity {fidelity!r} in {text!r}",
            f"write one of {', '.join(FIDELITIES)}",
        )
    # A comma inside a list value is not followed by another key.
    pairs = re.split(r",\s*(?=[A-Za-z_]\w*\s*=)", match["options"] or "")
    options = parse_options(pair for pair in pairs if pair)
    return ModelSpec(match["model"], match["plugin"], fidelity, options)


def parse_options(pairs: Iterable[str]) -> dict[str, Any]:
    """Read ``key=value`` pairs; a value is JSON, a number, or a bare word.

    Raises:
        UserError: If a pair has no ``=``, the key is not a name, or the value is too
            long or too deep to be read.

    Example:
        >>> parse_options(["lr=1e-3", "sizes=[64, 32]", "metric=cosine", "rank=null"])
        {'lr': 0.001, 'sizes': [64, 32], 'metric': 'cosine', 'rank': None}
    """
    options = {}
    for pair in pairs:
        _check_length("the option", pair)
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not key.isidentifier():
            raise UserError(f"cannot read the option {pair!r}", "write key=value")
        try:
            options[key] = _parse_value(value)
        except RecursionError:
            raise _too_deep(key) from None
    return options


def check_sizes(values: Mapping[str, Any]) -> None:
    """Refuse values too large to mean anything, before anything is made of them.

    Args:
        values: Values by name, with lists and tables inside.

    Raises:
        UserError: If an integer does not fit into 64 bits, a text is longer than 2,000
            characters, or lists and tables lie more than 20 deep in each other.

    Example:
        >>> check_sizes({"rank": 10**30})
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: 'rank' does not fit into 64 bits - write a smaller \
number
    """
    inside = [(name, value, 1) for name, value in values.items()]
    while inside:
        name, value, level = inside.pop()
        if level > _MOST_LEVELS:
            raise _too_deep(name)
        if isinstance(value, int) and value not in _INTEGERS:
            raise UserError(
                f"'{name}' does not fit into 64 bits", "write a smaller number"
            )
        if isinstance(value, str):
            _check_length(f"'{name}'", value)
        if isinstance(value, Mapping):
            for key in value:
                _check_length("the name of an option", key)
            inside += [(key, part, level + 1) for key, part in value.items()]
        elif isinstance(value, list):
            inside += [(name, part, level + 1) for part in value]


def _check_length(what: str, text: str) -> None:
    if len(text) > _MOST_CHARACTERS:
        raise UserError(f"{what} has {len(text):,} characters", "write a shorter one")


def _too_deep(name: str) -> UserError:
    return UserError(
        f"{name!r} has lists or tables more than {_MOST_LEVELS} deep", "write it flat"
    )


def _parse_value(text: str) -> Any:
    for read in (json.loads, int, float):  # Python reads ".5" and "1_000", JSON not
        try:
            return read(text)
        except ValueError:
            continue
    quoted = len(text) > 1 and text[0] == text[-1] == "'"
    return text[1:-1] if quoted else text


def format_options(options: Mapping[str, Any]) -> str:
    """Write options so that :func:`parse_spec` reads them back.

    Example:
        >>> format_options({"strength": 0.5, "metric": "cosine", "rank": None})
        'strength=0.5,metric=cosine,rank=null'
    """
    return ",".join(f"{key}={format_value(v)}" for key, v in options.items())


def format_value(value: Any) -> str:
    """Write the value of an option so that :func:`parse_options` reads it back.

    Example:
        >>> format_value(None), format_value("cosine"), format_value("1")
        ('null', 'cosine', '"1"')
    """
    word = isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w.-]*", value)
    if word and _parse_value(value) == value:
        return str(value)
    # In JSON "=" stands in strings only; written as an escape it cannot look like the
    # start of the next option.
    return json.dumps(value).replace("=", "\\u003d")


def check_names(
    given: Iterable[str], known: Iterable[str], what: str, *, of: str = ""
) -> None:
    """Refuse the first name that is not known, with the nearest match and the list.

    Args:
        given: Names the user wrote.
        known: Names that exist.
        what: Kind of the names, for the message.
        of: Whose names they would be, for the message.

    Raises:
        UserError: If a name is unknown.

    Example:
        >>> check_names(["lrr"], ["lr", "epochs"], "option")
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: unknown option 'lrr' - did you mean 'lr'? \
choose from lr, epochs
    """
    names = list(known)
    for name in given:
        if name not in names:
            raise unknown_name(what, name, names, of=of)
