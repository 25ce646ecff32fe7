"""Processes that we start: deaf to Ctrl-C, and gone when their parent is."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import parent_process, resource_tracker
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any

_SECONDS_TO_END = 5.0


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Ctrl-C and SIGTERM that come inside are handled at the end.

    Processes that start inside have them blocked, too, until they are workers. On
    Windows, and in the main thread from another one, nothing is blocked.

    Example:
        >>> before = signal.signal(signal.SIGTERM, lambda *_: print("handled"))
        >>> with signals_blocked():
        ...     signal.raise_signal(signal.SIGTERM)
        ...     print("whole")
        whole
        handled
        >>> _ = signal.signal(signal.SIGTERM, before)
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # It starts with the first process, and would unblock SIGINT then.
    resource_tracker.ensure_running()
    ours = {signal.SIGINT, signal.SIGTERM, signal.SIGALRM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ours)
    came: set[int] = set()
    handlers: dict[signal.Signals, Any] = {}
    # What is blocked in this thread is taken by any other, and handled in the main one.
    if threading.current_thread() is threading.main_thread():
        found = {number: signal.getsignal(number) for number in ours}
        # One that is ignored is to be so in what starts inside, too.
        handlers = {n: h for n, h in found.items() if h not in (signal.SIG_IGN, None)}
    for number in handlers:
        signal.signal(number, lambda number, _: came.add(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for each in came:
            signal.raise_signal(each)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def worker_process(
    context: Any, function: Callable[..., None], *args: Any
) -> BaseProcess:
    """A process, not started yet, that its parent alone ends, and that ends with it.

    It ends at once when its parent is gone, however that went, so what it writes must
    be whole or absent.

    Args:
        context: Of ``multiprocessing``.
        function: Is called in the process.
        args: Its arguments.

    Example:
        >>> from multiprocessing import get_context
        >>> process = worker_process(get_context("fork"), print, "at work")
        >>> with signals_blocked():
        ...     process.start()
        >>> process.join()
        >>> process.exitcode
        0
    """
    process: BaseProcess = context.Process(target=_Work(function, args), daemon=True)
    return process


class _Work:
    """A call in a worker.

    What it needs is imported once the process is a worker: that takes seconds, in
    which the parent may end.
    """

    def __init__(self, function: Callable[..., None], args: tuple[Any, ...]) -> None:
        self._parts: Any = function, args

    def __getstate__(self) -> bytes:
        return bytes(ForkingPickler.dumps(self._parts))

    def __setstate__(self, parts: bytes) -> None:
        self._parts = parts

    def __call__(self) -> None:
        become_worker()
        parts = self._parts
        is_packed = isinstance(parts, bytes)  # not after a fork
        function, args = ForkingPickler.loads(parts) if is_packed else parts
        function(*args)


def become_worker() -> None:
    """Make this process such a worker."""
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
