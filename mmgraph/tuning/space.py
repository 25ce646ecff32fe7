"""What a search may try: an interval or a list per option."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mmgraph.bench.config import check_settings, check_values
from mmgraph.bench.spec import ModelSpec, parse_options
from mmgraph.errors import UserError

#: Between two ends that differ by this factor, a number is drawn by its logarithm.
_LOGARITHMIC_FROM = 10
_FIX = "write OPTION=LOW..HIGH or OPTION=[a,b,c]"


@dataclass(frozen=True)
class Interval:
    """Numbers from one end to the other, both included.

    Args:
        low: The least.
        high: The largest; if both are integers, only integers are tried.
    """

    low: float
    high: float

    @property
    def is_integer(self) -> bool:
        """True if only integers are tried."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def is_logarithmic(self) -> bool:
        """True if numbers are drawn by their logarithm."""
        wide = self.low > 0 and self.high >= _LOGARITHMIC_FROM * self.low
        return wide and not self.is_integer


Choices = list[Any]
Space = dict[str, Interval | Choices]


def parse_space(words: Iterable[str], spec: ModelSpec) -> Space:
    """Read a space as it is written on the command line.

    Args:
        words: ``OPTION=LOW..HIGH`` or ``OPTION=[a,b,c]``; none: :func:`default_space`.
        spec: The system, which must have the options and take all values.

    Raises:
        UserError: If a word is neither, an interval is empty, the system or the trainer
            has no such option, or would refuse a value.

    Example:
        >>> parse_space(["lr=1e-4..1e-2", "num_layers=[1,3]"], ModelSpec("LightGCN"))
        {'lr': Interval(low=0.0001, high=0.01), 'num_layers': [1, 3]}
    """
    space: Space = {}
    for word in words:
        name, _, values = word.partition("=")
        low, dots, high = values.partition("..")
        if dots:
            space[name] = _interval(word, name, low, high)
        else:
            choices = parse_options([word])[name]
            if not isinstance(choices, list) or not choices:
                raise UserError(f"cannot read --search {word!r}", _FIX)
            space[name] = choices
    space = space or default_space(spec)
    check_settings(space, [spec])
    for name, tried in space.items():
        ends = [tried.low, tried.high] if isinstance(tried, Interval) else tried
        for value in ends:
            check_values({name: value}, [spec])
    return space


def _interval(word: str, name: str, *ends: str) -> Interval:
    low, high = (parse_options([f"{name}={end}"])[name] for end in ends)
    numbers = all(type(end) in (int, float) for end in (low, high))
    if not numbers or low >= high:
        raise UserError(f"cannot read --search {word!r}", _FIX)
    return Interval(low, high)


def default_space(spec: ModelSpec) -> Space:
    """The learning rate, and the weight of the penalty where there is one.

    Example:
        >>> list(default_space(ModelSpec("LightGCN")))
        ['lr', 'reg_weight']
    """
    space: Space = {"lr": Interval(1e-4, 1e-2)}
    try:
        check_settings({"reg_weight": 0.1}, [spec])
    except UserError:
        return space
    return space | {"reg_weight": Interval(1e-6, 1e-1)}


def as_json(space: Mapping[str, Interval | Choices]) -> dict[str, Any]:
    """A space as its record has it.

    Example:
        >>> as_json({"lr": Interval(1e-4, 1e-2), "num_layers": [1, 3]})
        {'lr': '0.0001..0.01', 'num_layers': [1, 3]}
    """
    return {
        name: f"{values.low}..{values.high}" if isinstance(values, Interval) else values
        for name, values in space.items()
    }
