"""The ``mmgraph`` command line. Nothing here imports torch before a command runs."""

from __future__ import annotations

from collections.abc import Sequence

from mmgraph.cli.signals import end_at_a_signal

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: Words after ``mmgraph``; those of the process by default. ``--debug``
            may stand anywhere and shows the traceback of an error.

    Returns:
        0 on success; 2 for an error of the user, in one line on stderr; 130 on
        Ctrl-C and 143 on SIGTERM, see :class:`~mmgraph.cli.signals.Signals`; 1 for
        anything unexpected.

    Example:
        >>> main(["--version"])
        mmgraph 0.10.0
        0
    """
    if argv is None:
        end_at_a_signal()
    from mmgraph.cli.entry_point import run

    return run(argv)
