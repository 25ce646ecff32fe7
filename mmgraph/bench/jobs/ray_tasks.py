"""The tasks of a benchmark on a Ray cluster."""

from __future__ import annotations

from contextlib import ExitStack
from functools import lru_cache
from typing import Any

import mmgraph
from mmgraph import cluster
from mmgraph.allocator import keep_freed_memory
from mmgraph.bench.jobs.executors import watch_task
from mmgraph.bench.jobs.processes import TaskData, attempt, result_of, task_runner
from mmgraph.bench.jobs.task import Task, TaskResult
from mmgraph.bench.jobs.watch import Watch, unwatched
from mmgraph.errors import UserError


class RayTasks:
    """Does tasks on the machines of a Ray cluster, as many at once as it has room for.

    Each worker reads the data by itself, from the same path, and writes nothing. Ray
    does the task of a lost worker or machine again. A run that only has to be tested is
    tested here, where its parameters are.

    Args:
        address: Of the cluster, or ``"auto"``.
        data: Their data.
        gpus: GPUs of a run, a share of one too (default: one where the cluster has
            any and the device is not the CPU).
        watch: Shows a line per run.

    Raises:
        UserError: If Ray is not installed, or the cluster is not there.
    """

    def __init__(
        self,
        address: str,
        data: TaskData,
        gpus: float | None = None,
        watch: Watch = unwatched,
    ) -> None:
        self._joined = cluster.joined_cluster(address)
        self._data, self._gpus, self._watch = data, gpus, watch
        self._running: dict[Any, tuple[Task, ExitStack, Any]] = {}
        self._here: list[Task] = []

    def __enter__(self) -> RayTasks:
        self._ray = ray = self._joined.__enter__()
        gpus = self._gpus
        if gpus is None:
            has_gpus = ray.cluster_resources().get("GPU", 0) >= 1
            gpus = 1 if has_gpus and self._data.device != "cpu" else 0
        self._remote = ray.remote(_perform).options(
            num_cpus=max(1, self._data.threads),
            num_gpus=gpus,
            max_retries=cluster.ATTEMPTS - 1,
        )
        return self

    def __exit__(self, *_: Any) -> None:
        for running in self._running.values():
            running[1].close()
        self._joined.__exit__(None, None, None)

    def has_room(self) -> bool:
        return True  # Ray keeps what there is no room for

    def start(self, task: Task) -> None:
        if task.trained is not None:
            self._here.append(task)
            return
        shown = ExitStack()
        on_epoch = shown.enter_context(watch_task(self._watch, task))
        future = self._remote.remote(task, self._data, mmgraph.__version__)
        self._running[future] = task, shown, on_epoch

    def wait(self) -> tuple[Task, TaskResult | UserError] | None:
        if self._here:
            first = self._here.pop(0)
            return first, result_of(first, *attempt(_runner(self._data), first))
        if not self._running:
            return None
        (future,), _ = self._ray.wait(list(self._running), num_returns=1)
        task, shown, on_epoch = self._running.pop(future)
        with shown:
            kind, content = cluster.result_of(self._ray, future, str(task))
            result = result_of(task, kind, content)
            if isinstance(result, TaskResult) and result.history and on_epoch:
                on_epoch(result.history[-1])
        return task, result


_runner = lru_cache(maxsize=1)(task_runner)


def _perform(task: Task, data: TaskData, version: str) -> tuple[str, Any]:
    """Do a task in a worker, which keeps the data for the next one."""
    keep_freed_memory()
    other = cluster.other_version(version)
    if other is not None:
        return "unready", other
    try:
        do = _runner(data)
    except UserError as error:
        return "unready", UserError(error.what, error.fix)  # its path is not ours
    return attempt(do, task)
