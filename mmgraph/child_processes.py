"""Processes that we start: deaf to Ctrl-C, and gone when their parent is."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process, resource_tracker
from multiprocessing.process import BaseProcess

_SECONDS_TO_END = 5.0


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Ctrl-C and SIGTERM that come inside are handled at the end.

    Processes that start inside have them blocked, too, until they call
    :func:`become_worker`. On Windows nothing is blocked.

    Example:
        >>> try:
        ...     with signals_blocked():
        ...         signal.raise_signal(signal.SIGINT)
        ...         print("whole")
        ... except KeyboardInterrupt:
        ...     print("stopped")
        whole
        stopped
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # It starts with the first process, and would unblock SIGINT then.
    resource_tracker.ensure_running()
    ours = {signal.SIGINT, signal.SIGTERM, signal.SIGALRM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ours)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def become_worker() -> None:
    """Make this process one that its parent alone ends, and that ends with it.

    It ends at once when its parent is gone, however that went, so what it writes must
    be whole or absent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def end_process(process: BaseProcess) -> None:
    """Wait a moment for a process that is to end, and kill it if it does not."""
    process.join(_SECONDS_TO_END)
    if process.is_alive():
        process.kill()
        process.join()
