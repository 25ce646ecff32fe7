"""Executors of the blocks: this process, several, or a Ray cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mmgraph.cluster import ATTEMPTS, done_on_cluster, joined_cluster, load_ray
from mmgraph.errors import UserError
from mmgraph.knn.jobs.workers import Workers
from mmgraph.knn.options import check_options

# Runs a task for every number and yields the numbers as they are done. A task may be
# run twice; an error of the task itself ends the build.
Executor = Callable[[Callable[[int], Any], Sequence[int]], Iterator[int]]


def one_by_one(task: Callable[[int], Any], numbers: Sequence[int]) -> Iterator[int]:
    """Run the task here, number after number.

    Example:
        >>> list(one_by_one(str, [3, 4]))
        [3, 4]
    """
    for number in numbers:
        task(number)
        yield number


def in_processes(
    workers: int, *, attempts: int = 3, start_method: str = "spawn"
) -> Executor:
    """Run the task in several processes of this machine.

    A worker that dies (killed, out of memory) is replaced, and its number done again.
    The workers divide the threads that torch has here; they end with this process, see
    :class:`~mmgraph.knn.jobs.workers.Workers`.

    Args:
        workers: Number of processes.
        attempts: Deaths in a row of each worker before any number is done.
        start_method: As ``multiprocessing`` takes it; ``fork`` is quick, and unsafe
            once this process runs threads.

    Returns:
        An executor.

    Raises:
        UserError: ``workers`` or ``attempts`` is not positive; from the executor, when
            the workers keep dying.
    """
    check_options(workers=workers, attempts=attempts)

    def run(task: Callable[[int], Any], numbers: Sequence[int]) -> Iterator[int]:
        left, deaths = list(numbers), 0
        count = max(1, min(workers, len(left)))
        with Workers(task, count, start_method) as processes:
            while left:
                idle = [number for number in left if number not in processes.busy()]
                for number in idle[: count - len(processes.busy())]:
                    processes.start(number)
                for number, done in processes.wait():
                    deaths = 0 if done else deaths + 1
                    left.remove(number)
                    if done:
                        yield number
                    else:
                        left.append(number)
                if deaths >= attempts * min(count, len(left)) > 0:
                    raise UserError(
                        f"the workers died {attempts} times at blocks "
                        f"{', '.join(map(str, sorted(left)[:count]))}",
                        "use fewer workers or less ram; what is finished is kept",
                    )

    return run


def on_ray(
    address: str | None = None, *, attempts: int = ATTEMPTS, **resources: float
) -> Executor:
    """Run the task on a Ray cluster.

    Features and work folder must be reachable under the same path from every machine.
    Ray itself repeats a task whose worker or machine is lost.

    Args:
        address: Of the cluster; by default the one this process is in, or a new one
            on this machine.
        attempts: Tries per task.
        resources: Of one task: ``num_cpus``, ``num_gpus``, ``memory``.

    Returns:
        An executor.

    Raises:
        UserError: Ray is not installed; from the executor, if the cluster is not
            there, or as :func:`~mmgraph.cluster.done_on_cluster`.
    """
    load_ray()

    def run(task: Callable[[int], Any], numbers: Sequence[int]) -> Iterator[int]:
        silent = functools.partial(_call, task)
        with joined_cluster(address) as ray:
            done = done_on_cluster(
                ray,
                silent,
                numbers,
                what="a block",
                attempts=attempts,
                again="run the command again, which keeps what is finished",
                resources=resources,
            )
            for position, _ in done:
                yield numbers[position]

    return run


def _call(task: Callable[[int], Any], number: int) -> None:
    task(number)
