"""The order in which the tasks of a benchmark start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mmgraph.bench.jobs.task import Task

#: Tasks that do not depend on each other, then those that wait for them, and so on.
Rounds = Iterator[list[Task]]


class TaskQueue:
    """Tasks of many systems, each in rounds; a round starts when its last one is done.

    The earliest system that has a task ready comes first. So a single worker finishes
    system after system, and several work on the next one before they would idle. What
    two systems ask for is done once.

    Args:
        systems: The rounds of each system. The next round is asked for only when all
            tasks of the present one are finished.
        finished: Identities of tasks that are done already.

    Example:
        >>> from mmgraph.bench.config import run_config
        >>> from mmgraph.bench.spec import ModelSpec
        >>> run = run_config(ModelSpec("MF-BPR"))
        >>> first, second = Task(run, 1, "a"), Task(run, 2, "b")
        >>> queue = TaskQueue([iter([[first], [second]])])
        >>> queue.take().key, queue.take()
        ('a', None)
        >>> queue.finish(first)
        >>> queue.take().key
        'b'
    """

    def __init__(
        self, systems: Sequence[Rounds], finished: Iterable[tuple[str, bool]] = ()
    ) -> None:
        self._systems = list(systems)
        self._rounds: list[list[list[Task]]] = [[[]] for _ in systems]
        self._finished = set(finished)
        self._started = set(self._finished)

    def take(self) -> Task | None:
        """The next task that can start, None while there is none."""
        for system, rounds in zip(self._systems, self._rounds, strict=True):
            while all(task.identity in self._finished for task in rounds[-1]):
                following = next(system, None)
                if following is None:
                    break
                rounds.append(following)
            for task in rounds[-1]:
                if task.identity not in self._started:
                    self._started.add(task.identity)
                    return task
        return None

    def finish(self, task: Task) -> None:
        """A task is done, and what it was to leave is there."""
        self._finished.add(task.identity)

    def order(self) -> list[Task]:
        """All tasks so far in the order in which a single worker does them."""
        return [t for rounds in self._rounds for tasks in rounds for t in tasks]
