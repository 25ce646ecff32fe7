"""Executors of the blocks: this process, several, or a Ray cluster."""

from __future__ import annotations

import importlib
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import torch

from mmgraph.errors import UserError

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

    A worker that dies (killed, out of memory) takes its pool with it; a new pool goes
    on with what is not done. The workers divide the threads that torch has here.

    Args:
        workers: Number of processes.
        attempts: Pools in a row that may break before any number is done.
        start_method: As ``multiprocessing`` takes it; ``fork`` is quick, and unsafe
            once this process runs threads.

    Returns:
        An executor.

    Raises:
        ValueError: ``workers`` or ``attempts`` is not positive.
        UserError: From the executor, when the workers keep dying.
    """
    if workers < 1 or attempts < 1:
        raise ValueError(
            f"workers and attempts must be positive (got {workers}, {attempts})"
        )

    def run(task: Callable[[int], Any], numbers: Sequence[int]) -> Iterator[int]:
        left, broken = list(numbers), 0
        while left:
            before = len(left)
            for number in _one_pool(task, list(left), workers, start_method):
                left.remove(number)
                yield number
            broken = broken + 1 if len(left) == before else 0
            if left and broken == attempts:
                raise UserError(
                    f"the workers died {attempts} times at blocks "
                    f"{', '.join(map(str, left[:workers]))}",
                    "use fewer workers or less ram; what is finished is kept",
                )

    return run


def _one_pool(
    task: Callable[[int], Any], numbers: list[int], workers: int, start_method: str
) -> Iterator[int]:
    """Numbers that one pool gets done before all are, or a worker dies."""
    context = multiprocessing.get_context(start_method)
    workers = min(workers, len(numbers))
    threads = max(1, torch.get_num_threads() // workers)
    pool = ProcessPoolExecutor(workers, context, torch.set_num_threads, (threads,))
    try:
        futures = {pool.submit(task, number): number for number in numbers}
        for future in as_completed(futures):
            try:
                future.result()
            except BrokenProcessPool:
                continue
            yield futures[future]
    except BrokenProcessPool:  # it broke while numbers were still handed out
        return
    finally:
        pool.shutdown(cancel_futures=True)


def on_ray(
    address: str | None = None, *, attempts: int = 3, **resources: float
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
        UserError: Ray is not installed.
    """
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError:
        raise UserError("Ray is not installed", "pip install 'mmgraph[ray]'") from None

    def run(task: Callable[[int], Any], numbers: Sequence[int]) -> Iterator[int]:
        started = not ray.is_initialized()
        if started:
            ray.init(address=address, log_to_driver=False)
        try:
            options = {"max_retries": attempts - 1, **resources}
            remote = ray.remote(_call).options(**options)
            running = {remote.remote(task, number): number for number in numbers}
            while running:
                (done, *_), _ = ray.wait(list(running), num_returns=1)
                ray.get(done)
                yield running.pop(done)
        finally:
            if started:
                ray.shutdown()

    return run


def _call(task: Callable[[int], Any], number: int) -> None:
    task(number)
