"""Several processes that do the tasks of a benchmark at once."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from mmgraph.allocator import keep_freed_memory
from mmgraph.bench.jobs.executors import watch_task
from mmgraph.bench.jobs.task import Task, TaskResult, perform
from mmgraph.bench.jobs.watch import OnEpoch, Watch, unwatched
from mmgraph.bench.source import DataSource
from mmgraph.child_processes import end_process, signals_blocked, worker_process
from mmgraph.errors import UserError


@dataclass(frozen=True)
class TaskData:
    """The data of a benchmark, as a process finds and uses them by itself.

    Args:
        source: The data, which each process reads by itself.
        data_sha256: Their fingerprint, which must be that of the parent.
        device: As the trainer takes it.
        threads: CPU threads of each process; 0 leaves torch's choice.
    """

    source: DataSource
    data_sha256: str
    device: str = "auto"
    threads: int = 0


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    task: Task | None = None
    on_epoch: OnEpoch | None = None
    shown: ExitStack = field(default_factory=ExitStack)


class Processes:
    """Does up to ``jobs`` tasks at once, each in a process of its own.

    The processes live on from task to task and write nothing; what they made comes
    back through a pipe. They end with the ``with`` block, at once if it is left by an
    error or by Ctrl-C.

    Args:
        jobs: Processes at most; no more are started than there are tasks for.
        data: Their data.
        watch: Shows progress.
    """

    def __init__(self, jobs: int, data: TaskData, watch: Watch = unwatched) -> None:
        self._jobs, self._data, self._watch = jobs, data, watch
        self._workers: list[_Worker] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        for worker in self._workers:
            worker.connection.close()  # an idle process takes it as the end
            if kind is not None:
                worker.process.kill()  # it writes nothing, and may block SIGTERM yet
        for worker in self._workers:
            worker.shown.close()
            end_process(worker.process)

    def has_room(self) -> bool:
        return len(self._busy()) < self._jobs

    def start(self, task: Task) -> None:
        idle = [worker for worker in self._workers if worker.task is None]
        worker = idle[0] if idle else self._hire()
        worker.on_epoch = worker.shown.enter_context(watch_task(self._watch, task))
        worker.task = task
        with suppress(OSError):  # it died idle, which wait() tells
            worker.connection.send(task)

    def wait(self) -> tuple[Task, TaskResult | UserError] | None:
        while busy := self._busy():
            ready = wait([worker.connection for worker in busy])
            for worker in [worker for worker in busy if worker.connection in ready]:
                try:
                    kind, content = worker.connection.recv()
                except (EOFError, OSError):
                    raise _died(worker) from None
                if kind == "epoch":
                    if worker.on_epoch is not None:
                        worker.on_epoch(content)
                    continue
                task, worker.task = worker.task, None
                worker.shown.close()
                assert task is not None
                return task, result_of(task, kind, content)
        return None

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.task is not None]

    def _hire(self) -> _Worker:
        context = get_context("spawn")  # a fork would share torch's and CUDA's state
        mine, theirs = context.Pipe()
        process = worker_process(context, _serve, theirs, self._data)
        worker = _Worker(process, mine)
        with signals_blocked():
            process.start()
            self._workers.append(worker)
        theirs.close()  # so that the pipe ends when the process does
        return worker


def _serve(connection: Connection, data: TaskData) -> None:
    """Do tasks in a process, until the pipe is closed."""
    keep_freed_memory()
    do = None
    with suppress(EOFError, BrokenPipeError):  # the parent closed the pipe, or died
        while True:
            task: Task = connection.recv()
            try:
                do = do or task_runner(data)
            except UserError as error:
                connection.send(("unready", error))
            else:
                connection.send(attempt(do, task, partial(_send_epoch, connection)))


def attempt(
    do: Callable[..., TaskResult], task: Task, on_epoch: OnEpoch | None = None
) -> tuple[str, Any]:
    """What a task gives, for :func:`result_of` in another process."""
    try:
        return "done", do(task, on_epoch=on_epoch)
    except BrokenPipeError:  # nobody listens: that is no failure of the task
        raise
    except UserError as error:
        return "refused", error
    except Exception as error:
        return "failed", (f"{type(error).__name__}: {error}", traceback.format_exc())


def result_of(task: Task, kind: str, content: Any) -> TaskResult | UserError:
    """The result of a task, or the error of a user, from what :func:`attempt` gave.

    Raises:
        RuntimeError: If it failed by a mistake in code.
        UserError: If the process can do no task.
    """
    if kind == "failed":
        raise _failed(task, *content)
    if kind == "unready":  # not the task's fault: no other can be done
        raise content
    result: TaskResult | UserError = content
    return result


def task_runner(data: TaskData) -> Callable[..., TaskResult]:
    """What does tasks on data that it reads first.

    Raises:
        UserError: If they are not those of the parent.
    """
    if data.threads:
        torch.set_num_threads(data.threads)
    splits, sha256 = data.source.load()
    if sha256 != data.data_sha256:
        raise UserError(
            "the data changed while the benchmark ran",
            "run it again on data that stay as they are",
            path=data.source.location,
        )
    return partial(
        perform,
        splits=splits,
        data=data.source.name,
        data_sha256=sha256,
        device=data.device,
    )


def _send_epoch(connection: Connection, row: dict[str, Any]) -> None:
    connection.send(("epoch", row))


def _failed(task: Task, text: str, trace: str) -> RuntimeError:
    error = RuntimeError(f"{task}: {text}")
    error.add_note(trace)
    return error


def _died(worker: _Worker) -> UserError:
    end_process(worker.process)
    return UserError(
        f"{worker.task}: its process ended with exit code {worker.process.exitcode}",
        "use fewer --jobs if memory ran out, and go on with --resume",
    )
