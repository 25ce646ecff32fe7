"""One line for an error of several processes: one of them says it, the rest are silent.

Imports nothing, as the command line does before it has a command.
"""

from __future__ import annotations

_silent = False


def be_silent() -> None:
    """Leave it to another process to say what happened."""
    global _silent
    _silent = True


def is_silent() -> bool:
    """True if another process has said what happened.

    Example:
        >>> is_silent()
        False
    """
    return _silent
