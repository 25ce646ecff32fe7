"""Tasks on the machines of a Ray cluster."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

import mmgraph
from mmgraph.device import resolve_device
from mmgraph.errors import UserError

#: Tries of a task whose worker or machine is lost.
ATTEMPTS = 3
#: Tasks that the cluster is given at a time, more than it has cores in most cases.
_UNDER_WAY = 1000


def load_ray() -> Any:
    """The module of Ray.

    Raises:
        UserError: If it is not installed.
    """
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise UserError("Ray is not installed", "pip install 'mmgraph[ray]'") from None


@contextmanager
def joined_cluster(address: str | None = "auto") -> Iterator[Any]:
    """Ray, joined to a cluster inside the block; with it end the tasks under way.

    A cluster that this process is in already is taken, and stays.

    Args:
        address: Of the cluster, ``"auto"``, or None for a new one on this machine.

    Raises:
        UserError: If Ray is not installed, or the cluster is not there.
    """
    ray = load_ray()
    if ray.is_initialized():
        yield ray
        return
    try:
        ray.init(address=address, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"no Ray cluster at {address} ({reason})",
            "start one with ray start --head, or give its address",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def done_on_cluster(
    ray: Any,
    task: Callable[[Any], Any],
    arguments: Iterable[Any],
    *,
    what: str = "a task",
    in_order: bool = False,
    attempts: int = ATTEMPTS,
    again: str = "start again",
    resources: Mapping[str, float] | None = None,
) -> Iterator[tuple[int, Any]]:
    """Do a task for each of some arguments on the machines of a cluster.

    Ray does the task of a lost worker or machine again. What is done waits in Ray's
    store, which uses the disk where the memory is full.

    Args:
        ray: As :func:`joined_cluster` gives it.
        task: A function that Ray can copy; it is sent once.
        arguments: Taken as there is room for them.
        what: The task, for a message.
        in_order: Give the results in the order of the arguments, and not as they come.
        attempts: Tries of a task whose worker or machine is lost.
        again: What to do once these have failed, for a message.
        resources: Of one task: ``num_cpus``, ``num_gpus``, ``memory``.

    Yields:
        Number of the argument, from 0, and the result.

    Raises:
        UserError: That of a task; if a machine has another version of mmgraph, or a
            task was lost again and again.
        RuntimeError: If a task failed by a mistake in code.
    """
    remote = ray.remote(_attempt).options(max_retries=attempts - 1, **(resources or {}))
    shared, waiting = ray.put(task), enumerate(arguments)
    running: dict[Any, int] = {}
    while True:
        for number, argument in islice(waiting, _UNDER_WAY - len(running)):
            running[remote.remote(shared, argument, mmgraph.__version__)] = number
        if not running:
            return
        future = next(iter(running))
        if not in_order:
            (future,), _ = ray.wait(list(running), num_returns=1)
        number = running.pop(future)
        result, error, trace = result_of(ray, future, what, again, attempts)
        if error is not None:
            error.add_note(trace)
            raise error
        yield number, result


def places(ray: Any, num_cpus: float = 1, num_gpus: float = 0) -> int:
    """Tasks that a cluster has room for at once, one at least.

    Args:
        ray: As :func:`joined_cluster` gives it.
        num_cpus: Cores of a task.
        num_gpus: Its GPUs.
    """
    there = ray.cluster_resources()
    asked = {"CPU": num_cpus, "GPU": num_gpus}
    room = [there.get(name, 0) / count for name, count in asked.items() if count]
    return max(1, int(min(room, default=1)))


def cluster_device(device: str, gpus: float | None) -> tuple[str, float]:
    """Device and GPUs of tasks that are to compute what this process would.

    Args:
        device: As the user names it.
        gpus: GPUs of a task, if the user says so.

    Returns:
        ``"cpu"`` or ``"cuda"``, and GPUs: one by default with ``"cuda"``.

    Raises:
        UserError: If GPUs are asked for, and this process would use none.

    Example:
        >>> cluster_device("cpu", None)
        ('cpu', 0)
    """
    kind = resolve_device(device).type
    if gpus and kind == "cpu":
        raise UserError(
            f"--gpus is {gpus:g}, and this process computes on a CPU",
            "start it on a machine with a GPU, or leave --gpus away",
        )
    if gpus is None:
        gpus = 0 if kind == "cpu" else 1
    return kind, gpus


def result_of(
    ray: Any,
    future: Any,
    what: str,
    again: str = "go on with --resume",
    attempts: int = ATTEMPTS,
) -> Any:
    """What a task gave.

    Args:
        ray: As :func:`joined_cluster` gives it.
        future: The task, as Ray knows it.
        what: The task, for a message.
        again: What to do about a loss, for a message.
        attempts: Tries that it had.

    Raises:
        UserError: If its worker was lost in all of them, or could not read the task.
    """
    try:
        return ray.get(future)
    except ray.exceptions.RayTaskError as error:  # our own errors are results
        reason = str(error).strip().rpartition("\n")[2]
        raise UserError(
            f"{what}: a machine of the cluster cannot read it ({reason})",
            f"install mmgraph {mmgraph.__version__} and what it needs on all of them",
        ) from error
    except ray.exceptions.RayError as error:
        raise UserError(
            f"{what}: its worker was lost {attempts} times ({type(error).__name__})",
            f"see that its memory suffices, and {again}",
        ) from error


def other_version(version: str) -> UserError | None:
    """The error of a machine whose version is not that of the one which sent a task.

    Example:
        >>> print(other_version("0.0.1"))  # doctest: +ELLIPSIS
        a machine of the cluster has mmgraph ... - install 0.0.1, as here, on all of \
them
        >>> other_version(mmgraph.__version__) is None
        True
    """
    if mmgraph.__version__ == version:
        return None
    what = f"a machine of the cluster has mmgraph {mmgraph.__version__}"
    return UserError(what, f"install {version}, as here, on all of them")


def _attempt(
    task: Callable[[Any], Any], argument: Any, version: str
) -> tuple[Any, Exception | None, str]:
    """Result, or error and where it was, in a worker; Ray would wrap an error."""
    try:
        other = other_version(version)
        if other is not None:
            raise other
        return task(argument), None, ""
    except UserError as error:
        return None, error, ""
    except Exception as error:
        text = f"{type(error).__name__}: {error}"  # its class may not be known there
        return None, RuntimeError(text), traceback.format_exc()
