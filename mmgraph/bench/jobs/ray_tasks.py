"""The tasks of a benchmark on a Ray cluster."""

from __future__ import annotations

import importlib
from contextlib import ExitStack
from functools import lru_cache
from typing import Any

import mmgraph
from mmgraph.allocator import keep_freed_memory
from mmgraph.bench.jobs.executors import watch_task
from mmgraph.bench.jobs.processes import TaskData, attempt, result_of, task_runner
from mmgraph.bench.jobs.task import Task, TaskResult
from mmgraph.bench.jobs.watch import Watch, unwatched
from mmgraph.errors import UserError

#: Tries of a task whose worker or machine is lost.
_ATTEMPTS = 3


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
        self._ray = load_ray()
        self._address, self._data, self._gpus = address, data, gpus
        self._watch, self._started = watch, False
        self._running: dict[Any, tuple[Task, ExitStack, Any]] = {}
        self._here: list[Task] = []

    def __enter__(self) -> RayTasks:
        ray = self._ray
        if not ray.is_initialized():
            try:
                ray.init(address=self._address, log_to_driver=False)
            except (ConnectionError, ValueError, RuntimeError) as error:
                reason = str(error).strip().partition("\n")[0]
                raise UserError(
                    f"no Ray cluster at {self._address} ({reason})",
                    "start one with ray start --head, or give its address",
                ) from error
            self._started = True
        gpus = self._gpus
        if gpus is None:
            has_gpus = ray.cluster_resources().get("GPU", 0) >= 1
            gpus = 1 if has_gpus and self._data.device != "cpu" else 0
        self._remote = ray.remote(_perform).options(
            num_cpus=max(1, self._data.threads),
            num_gpus=gpus,
            max_retries=_ATTEMPTS - 1,
        )
        return self

    def __exit__(self, *_: Any) -> None:
        for running in self._running.values():
            running[1].close()
        if self._started:  # with it go the tasks that are under way
            self._ray.shutdown()

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
            try:
                kind, content = self._ray.get(future)
            except self._ray.exceptions.RayError as error:
                raise UserError(
                    f"{task}: its worker was lost {_ATTEMPTS} times "
                    f"({type(error).__name__})",
                    "see that its memory suffices, and go on with --resume",
                ) from error
            result = result_of(task, kind, content)
            if isinstance(result, TaskResult) and result.history and on_epoch:
                on_epoch(result.history[-1])
        return task, result


def load_ray() -> Any:
    """The module of Ray.

    Raises:
        UserError: If it is not installed.
    """
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise UserError("Ray is not installed", "pip install 'mmgraph[ray]'") from None


_runner = lru_cache(maxsize=1)(task_runner)


def _perform(task: Task, data: TaskData, version: str) -> tuple[str, Any]:
    """Do a task in a worker, which keeps the data for the next one."""
    keep_freed_memory()
    if mmgraph.__version__ != version:
        what = f"a machine of the cluster has mmgraph {mmgraph.__version__}"
        fix = f"install {version}, as here, on all of them"
        return "unready", UserError(what, fix)
    try:
        do = _runner(data)
    except UserError as error:
        return "unready", UserError(error.what, error.fix)  # its path is not ours
    return attempt(do, task)
