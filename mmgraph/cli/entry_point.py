"""Run the command line: exit codes, and every error in one line.

Typer and the commands are imported in :func:`run`, after its signal handlers.
"""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol, runtime_checkable

from mmgraph.cli.signals import (
    INTERRUPTION,
    SIGNALLED,
    Signals,
    be_silent_about_lost_stops,
)
from mmgraph.distributed.speaker import is_silent
from mmgraph.errors import UserError

USER_ERROR, UNEXPECTED, INTERRUPTED = 2, 1, 130
_NOT_WRITTEN = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE, errno.EBADF),
}


@runtime_checkable
class _ParserError(Protocol):
    """An error of the command-line parser.

    By what it can do, not by its class: Typer carries its own copy of Click or imports
    Click, depending on its version.
    """

    def format_message(self) -> str: ...


def run(argv: Sequence[str] | None) -> int:
    """Run one command and return its exit code, see :func:`mmgraph.cli.main`."""
    given = list(sys.argv[1:] if argv is None else argv)
    code, is_process = UNEXPECTED, argv is None
    if is_process:
        be_silent_about_lost_stops()
        _fail_where_stdout_is_closed()
    with Signals(for_good=is_process) as signals:
        code = _run_app(given)
    if signals.number is not None:
        code = SIGNALLED + signals.number
    if code in (INTERRUPTED, SIGNALLED + signal.SIGTERM):
        _write_error(INTERRUPTION)
    if is_process and any(t.name.startswith("mmgraph-") for t in threading.enumerate()):
        _end_at_once(code)
    return code


def _end_at_once(code: int) -> None:
    """End beside a thread of ours at work, which Python's own end would abort in torch.

    A run that is being loaded can take minutes, and nobody waits for it any more.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def _fail_where_stdout_is_closed() -> None:
    """Let writing to a stdout that was closed (``>&-``) fail, not vanish.

    The next file that is opened would else get its number, and what C code prints.
    """
    if sys.stdout is None:
        closed = io.FileIO(os.open(os.devnull, os.O_RDONLY), "w")
        # Without a buffer, which Python would try to empty once more at its end.
        sys.stdout = io.TextIOWrapper(closed, "utf-8", write_through=True)


def _run_app(given: list[str]) -> int:
    # Read when torch loads: threads without work then sleep. Spinning, they slow small
    # operations many times on shared cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from mmgraph.allocator import keep_freed_memory, use_large_pages

    use_large_pages()
    from mmgraph.cli.app import app
    from mmgraph.cli.arguments.importing import importing
    from mmgraph.cli.options import remember_words

    keep_freed_memory()
    remember_words(given)
    words = [word for word in given if word != "--debug"]
    try:
        with importing(words) as words:
            code = app(words or ["--help"], prog_name="mmgraph", standalone_mode=False)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if "--debug" in given:
            traceback.print_exc()
        return _report(error)
    return code if isinstance(code, int) else 0


def _report(error: Exception) -> int:
    if isinstance(error, UserError):
        _write_error(str(error))
        return USER_ERROR
    if isinstance(error, _ParserError):
        _report_usage(error)
        return USER_ERROR
    if type(error).__name__ == "Abort":
        return INTERRUPTED
    if isinstance(error, OSError) and error.filename is not None:
        _write_error(
            f"{error.filename}: {error.strerror}", "check the path and its rights"
        )
        return USER_ERROR
    if isinstance(error, OSError) and error.errno in _NOT_WRITTEN:
        # Files say which they are; what remains is stdout.
        _write_error(
            f"stdout cannot be written ({error.strerror})", "check where it goes"
        )
        return USER_ERROR
    _write_error(
        f"unexpected {type(error).__name__}: {error}",
        "run again with --debug and report it",
    )
    return UNEXPECTED


def _report_usage(error: _ParserError) -> None:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:
        _write_error(f"{context.command_path}: no command given", "see its --help")
        return
    what = error.format_message().rstrip(".")
    # The words of the library that Typer checks values with.
    what = re.sub(r"Input should be (a valid \w+).*", r"not \1", what)
    what = what.replace("Value error, ", "")
    command = context.command_path if context is not None else "mmgraph"
    near = getattr(error, "possibilities", None)
    hint = f"did you mean {sorted(near)[0]!r}? " if near else ""
    what = what.partition(" (Possible options")[0]
    _write_error(what[:1].lower() + what[1:], f"{hint}see {command} --help")


def _write_error(what: str, fix: str | None = None) -> None:
    if is_silent():
        return
    line = what if fix is None else f"{what} - {fix}"
    if sys.stderr is not None:  # as it is where it was closed
        with suppress(OSError):
            sys.stderr.write("error: " + " ".join(line.split()) + "\n")
            sys.stderr.flush()
