"""``--import MODULE``, which may stand anywhere on a command line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mmgraph.errors import UserError

_FLAG = "--import"
#: What the registry of systems reads, also in the processes that a command starts.
_VARIABLE = "MMGRAPH_IMPORT"


@contextmanager
def importing(words: Sequence[str]) -> Iterator[list[str]]:
    """Let the registry of systems import what ``--import`` names, inside the block.

    Args:
        words: The command line.

    Yields:
        The words without the option.

    Raises:
        UserError: If the option ends the line.

    Example:
        >>> with importing(["train", "Mine", "--import", "mine"]) as words:
        ...     words, os.environ["MMGRAPH_IMPORT"]
        (['train', 'Mine'], 'mine')
    """
    rest, modules = [], []
    left = iter(words)
    for word in left:
        if word == _FLAG:
            modules.append(next(left, ""))
        elif word.startswith(f"{_FLAG}="):
            modules.append(word.removeprefix(f"{_FLAG}="))
        else:
            rest.append(word)
    if "" in modules:
        raise UserError(f"{_FLAG} names no module", "write --import MODULE or FILE.py")
    before = os.environ.get(_VARIABLE)
    if modules:
        files = [os.path.abspath(m) if m.endswith(".py") else m for m in modules]
        os.environ[_VARIABLE] = ",".join([*filter(None, [before]), *files])
    try:
        yield rest
    finally:
        if modules and before is None:
            del os.environ[_VARIABLE]
        elif before is not None:
            os.environ[_VARIABLE] = before
