"""Processes that run a task for one number after another, and end with their parent."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from mmgraph.child_processes import end_process, signals_blocked, worker_process
from mmgraph.errors import UserError


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
        with signals_blocked():
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
        process = worker_process(
            self._context, _serve, theirs, self._task, self._threads
        )
        with signals_blocked():
            process.start()
            theirs.close()  # so that the pipe ends when the process does
            worker = _Worker(process, mine)
            self._workers.append(worker)
        return worker


def _end(worker: _Worker) -> None:
    end_process(worker.process)
    worker.connection.close()


def _serve(connection: Connection, task: Callable[[int], Any], threads: int) -> None:
    """Work in a process until there is nothing more to do."""
    torch.set_num_threads(threads)
    with suppress(EOFError, OSError):
        while (number := connection.recv()) is not None:
            connection.send(_error_of(task, number))


def _error_of(task: Callable[[int], Any], number: int) -> Exception | None:
    try:
        task(number)
    except UserError as error:  # says where by itself
        return error
    except Exception as error:
        error.add_note(traceback.format_exc())
        if type(error).__module__ == "builtins":  # others need not survive the pipe
            return error
        return RuntimeError(f"{type(error).__name__}: {error}")
    return None
