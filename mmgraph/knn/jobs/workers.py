"""Processes that run a task for one number after another, and end with their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from mmgraph.errors import UserError

_SECONDS_TO_END = 5.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    number: int | None = None


class Workers:
    """Up to ``count`` processes, started when there is a number for them.

    They end with the ``with`` block, at once if it is left by an error or by Ctrl-C,
    and within a moment when this process is gone, however it went. What they write must
    be whole or absent.

    Args:
        task: Is called with a number, in a worker.
        count: Number of processes, which divide the threads that torch has here.
        start_method: As ``multiprocessing`` takes it.

    Example:
        >>> with Workers(abs, 1, "fork") as workers:
        ...     workers.start(-3)
        ...     workers.wait()
        [(-3, True)]
    """

    def __init__(
        self, task: Callable[[int], Any], count: int, start_method: str
    ) -> None:
        self._task = task
        self._context: Any = multiprocessing.get_context(start_method)
        self._threads = max(1, torch.get_num_threads() // count)
        self._workers: list[_Worker] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        with signals_held():
            for worker in self._workers:
                if kind is None:
                    with suppress(OSError):
                        worker.connection.send(None)
                else:
                    worker.process.kill()
            for worker in self._workers:
                _end(worker)

    def busy(self) -> list[int]:
        """The numbers that are being worked on."""
        return [each.number for each in self._workers if each.number is not None]

    def start(self, number: int) -> None:
        """Give a number to an idle worker, or to a new one."""
        idle = [worker for worker in self._workers if worker.number is None]
        worker = idle[0] if idle else self._hire()
        worker.number = number
        with suppress(OSError):  # it died idle, which wait() tells
            worker.connection.send(number)

    def wait(self) -> list[tuple[int, bool]]:
        """Numbers that are done (True), or whose worker died (False), at least one.

        Raises:
            Exception: The error of a task.
        """
        busy = [worker for worker in self._workers if worker.number is not None]
        ready = wait([worker.connection for worker in busy])
        results = []
        for worker in [worker for worker in busy if worker.connection in ready]:
            number, worker.number = worker.number, None
            assert number is not None
            try:
                error = worker.connection.recv()
            except (EOFError, OSError):
                self._workers.remove(worker)
                _end(worker)
                results.append((number, False))
                continue
            if error is not None:
                raise error
            results.append((number, True))
        return results

    def _hire(self) -> _Worker:
        mine, theirs = self._context.Pipe()
        arguments = (theirs, self._task, self._threads)
        process = self._context.Process(target=_serve, args=arguments, daemon=True)
        with signals_held(), _deaf_to_interrupts():
            process.start()
            theirs.close()  # so that the pipe ends when the process does
            worker = _Worker(process, mine)
            self._workers.append(worker)
        return worker


def _end(worker: _Worker) -> None:
    worker.process.join(_SECONDS_TO_END)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()
    worker.connection.close()


def _serve(connection: Connection, task: Callable[[int], Any], threads: int) -> None:
    """Work in a process until there is nothing more to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its parent ends it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    with suppress(EOFError, OSError):
        while (number := connection.recv()) is not None:
            connection.send(_error_of(task, number))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _error_of(task: Callable[[int], Any], number: int) -> Exception | None:
    try:
        task(number)
    except Exception as error:
        error.add_note(traceback.format_exc())
        # Others need not survive the pipe.
        if isinstance(error, UserError) or type(error).__module__ == "builtins":
            return error
        return RuntimeError(f"{type(error).__name__}: {error}")
    return None


@contextmanager
def signals_held() -> Iterator[None]:
    """Ctrl-C and SIGTERM that come inside are handled at the end.

    Example:
        >>> try:
        ...     with signals_held():
        ...         signal.raise_signal(signal.SIGINT)
        ...         print("whole")
        ... except KeyboardInterrupt:
        ...     print("stopped")
        whole
        stopped
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # they are handled in the main thread alone
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if came:
            signal.raise_signal(came[0])


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes that start inside never see Ctrl-C, not even while they start."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # When it starts, it unblocks SIGINT: it must run before.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
