"""Execution of a benchmark's tasks in this process, one by one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from mmgraph.bench.jobs.task import Task, TaskResult
from mmgraph.bench.jobs.watch import OnEpoch, Watch, unwatched
from mmgraph.errors import UserError


class Executor(Protocol):
    """Does tasks; each gives a result, or the error of a user."""

    def has_room(self) -> bool:
        """True if one more task can start."""

    def start(self, task: Task) -> None:
        """Begin a task."""

    def wait(self) -> tuple[Task, TaskResult | UserError] | None:
        """The next task that ends, None if none is under way."""


def watch_task(watch: Watch, task: Task) -> AbstractContextManager[OnEpoch | None]:
    """The watch on a task; what is only tested has no epochs to show."""
    if task.trained is not None:
        return nullcontext()
    return watch(task.run.label, task.seed, task.run.trainer["epochs"])


class SequentialExecutor:
    """Does tasks in this process, each when it is waited for.

    Args:
        do: Called with a task and the epoch callback.
        watch: Shows progress.
    """

    def __init__(self, do: Callable[..., TaskResult], watch: Watch = unwatched) -> None:
        self._do, self._watch = do, watch
        self._task: Task | None = None

    def __enter__(self) -> SequentialExecutor:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def has_room(self) -> bool:
        return self._task is None

    def start(self, task: Task) -> None:
        self._task = task

    def wait(self) -> tuple[Task, TaskResult | UserError] | None:
        task, self._task = self._task, None
        if task is None:
            return None
        with watch_task(self._watch, task) as on_epoch:
            try:
                return task, self._do(task, on_epoch=on_epoch)
            except UserError as error:
                return task, error
