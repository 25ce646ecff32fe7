"""Who does the tasks of a benchmark: this process, one by one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from mmgraph.bench.task import OnEpoch, Outcome, Task
from mmgraph.errors import UserError

#: Called with label, seed and the epochs to come at most; gives the epoch callback.
Watch = Callable[[str, int, int], AbstractContextManager[OnEpoch | None]]


class Workers(Protocol):
    """Does tasks; what a task gives is an outcome, or the error of a user."""

    def has_room(self) -> bool:
        """Whether one more task can start."""

    def start(self, task: Task) -> None:
        """Begin a task."""

    def wait(self) -> tuple[Task, Outcome | UserError] | None:
        """The next task that ends, None if none is under way."""


def unwatched(label: str, seed: int, epochs: int) -> AbstractContextManager[None]:
    """A watch that shows nothing.

    Example:
        >>> with unwatched("VBPR", 1, 10) as on_epoch:
        ...     on_epoch is None
        True
    """
    return nullcontext()


def watch_task(watch: Watch, task: Task) -> AbstractContextManager[OnEpoch | None]:
    """The watch on a task; what is only tested has no epochs to show."""
    if task.trained is not None:
        return nullcontext()
    return watch(task.run.label, task.seed, task.run.trainer["epochs"])


class OneByOne:
    """Does tasks in this process, each when it is waited for.

    Args:
        do: Called with a task and the epoch callback.
        watch: Shows progress.
    """

    def __init__(self, do: Callable[..., Outcome], watch: Watch = unwatched) -> None:
        self._do, self._watch = do, watch
        self._task: Task | None = None

    def __enter__(self) -> OneByOne:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def has_room(self) -> bool:
        return self._task is None

    def start(self, task: Task) -> None:
        self._task = task

    def wait(self) -> tuple[Task, Outcome | UserError] | None:
        task, self._task = self._task, None
        if task is None:
            return None
        with watch_task(self._watch, task) as on_epoch:
            try:
                return task, self._do(task, on_epoch=on_epoch)
            except UserError as error:
                return task, error
