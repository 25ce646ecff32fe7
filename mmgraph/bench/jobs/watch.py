"""Progress of training runs, as callbacks that a display gives."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

#: Called with each row of a history.
OnEpoch = Callable[[dict[str, Any]], None]
#: Called with label, seed and the epochs to come at most; gives the epoch callback.
Watch = Callable[[str, int, int], AbstractContextManager[OnEpoch | None]]
#: Called with the number of users to rank; gives what takes how many were since.
OnUsers = Callable[[int], Callable[[int], None]]


def unwatched(label: str, seed: int, epochs: int) -> AbstractContextManager[None]:
    """A watch that shows nothing.

    Example:
        >>> with unwatched("VBPR", 1, 10) as on_epoch:
        ...     on_epoch is None
        True
    """
    return nullcontext()
