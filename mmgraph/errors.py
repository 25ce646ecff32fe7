"""The one exception that means: the user can mend this."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any


class UserError(ValueError):
    """Bad input, in one line: where, what is wrong, what to do.

    Args:
        what: Description of the fault, without a final full stop.
        fix: Remedy.
        path: The file at fault, if one is.
        row: Its row, counted from 1 with the header as row 1 (or the row of an
            array, counted from 0, where the message says "row" itself).
        owner: Whose options are at fault; in a constructor ``""``, its class puts its
            name there (:class:`~mmgraph.options.CheckedOptions`).

    Example:
        >>> print(UserError("no column 'userID'", "rename it", path="a.inter", row=1))
        a.inter:1: no column 'userID' - rename it
    """

    def __init__(
        self,
        what: str,
        fix: str,
        *,
        path: str | Path | None = None,
        row: int | None = None,
        owner: str | None = None,
    ) -> None:
        self.fault, self.owner = what, owner
        what = f"{owner}: {what}" if owner else what
        self.what, self.fix, self.path, self.row = what, fix, path, row
        location = "" if path is None else f"{path}: "
        if path is not None and row is not None:
            location = f"{path}:{row}: "
        super().__init__(f"{location}{what} - {fix}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel whole from a worker process, whose exceptions are copied by this."""
        return _copied, (type(self), str(self)), self.__dict__


def _copied(kind: type[UserError], message: str) -> UserError:
    """An error to which its parts are given next, whatever its constructor takes."""
    return kind.__new__(kind, message)


def name_key(name: str) -> str:
    """A name without what does not count in it: case, ``-`` and ``_``.

    Example:
        >>> name_key("MF-BPR") == name_key("mf_bpr")
        True
    """
    return name.lower().replace("-", "").replace("_", "")


def unknown_name(
    what: str, name: str, known: Iterable[str], *, of: str = ""
) -> UserError:
    """The error about a name that is not in a list: the nearest one, and the list.

    Args:
        what: Kind of the name, for the message.
        name: The name.
        known: The list.
        of: Whose name it would be.

    Example:
        >>> print(unknown_name("model", "Lightgcm", ["MF-BPR", "LightGCN"]))
        unknown model 'Lightgcm' - did you mean 'LightGCN'? choose from MF-BPR, LightGCN
    """
    by_key = {name_key(each): each for each in known}
    near = get_close_matches(name_key(name), by_key, n=1, cutoff=0.4)
    hint = f"did you mean {by_key[near[0]]!r}? " if near else ""
    choice = f"choose from {', '.join(by_key.values())}" if by_key else "there are none"
    owner = f" of {of}" if of else ""
    return UserError(f"unknown {what} {name!r}{owner}", hint + choice)
