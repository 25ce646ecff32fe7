"""The group of processes that ``torchrun`` started, and what they say when one is gone.

Whatever ends one process ends all: its connections close, at which the others end, and
``torchrun`` ends what is left. One process says in one line what happened.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from mmgraph.device import resolve_device
from mmgraph.distributed.exchange import ConnectionLostError
from mmgraph.distributed.speaker import be_silent
from mmgraph.distributed.world import world
from mmgraph.errors import UserError

logger = logging.getLogger(__name__)

#: Environment variable with the seconds after which a process counts as hung.
TIMEOUT = "MMGRAPH_TIMEOUT_SECONDS"
_TIMEOUT_SECONDS = 600
#: What is in the memory of the machines, as the end of a training, is exchanged, too.
_ON_GPUS = "cpu:gloo,cuda:nccl"
#: What the others have to answer, once one is missed.
_SECONDS_TO_ANSWER = 10.0


@contextmanager
def joined_processes(device: str | torch.device = "auto") -> Iterator[str]:
    """Join the other processes that ``torchrun`` started, and leave them at the end.

    Does nothing in a process that was started alone, or has joined already. On GPUs
    each process of a machine takes one of its own.

    Args:
        device: As the trainer takes it.

    Yields:
        The device of this process.

    Raises:
        UserError: If there are fewer GPUs than processes on this machine, or the others
            do not come.

    Example:
        >>> with joined_processes("cpu") as device:
        ...     device
        'cpu'
    """
    count = int(os.environ.get("WORLD_SIZE", 1))
    if count == 1 or dist.is_initialized():
        yield str(device)
        return
    own, backend = _own_device(device)
    others = _Others(*_join(backend, timedelta(seconds=_timeout_seconds())))
    if not world().is_first:
        logging.getLogger("mmgraph").setLevel(logging.ERROR)
    try:
        yield own
    except BaseException as error:
        # Torchrun ends what is left while we look for who is gone. That this comes just
        # before it has no effect any more must not end the looking.
        try:
            _ignore_signals()
        except KeyboardInterrupt:
            _ignore_signals()
        others.say_once(error)
        raise
    _leave()


def _own_device(device: str | torch.device) -> tuple[str, str]:
    """The device of this process, and the engine of the exchange."""
    found = resolve_device(device)
    if found.type != "cuda":
        return str(device), "gloo"
    local = int(os.environ.get("LOCAL_RANK", 0))
    if found.index is None:
        found = resolve_device(f"cuda:{local}")
    torch.cuda.set_device(found)
    return str(found), _ON_GPUS


def _timeout_seconds() -> float:
    text = os.environ.get(TIMEOUT, str(_TIMEOUT_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UserError(f"{TIMEOUT} is {text!r}", "give seconds, above 0")
    return seconds


def _join(backend: str, timeout: timedelta) -> tuple[dist.Store, timedelta]:
    try:
        store, rank, count = next(dist.rendezvous("env://", timeout=timeout))
        dist.init_process_group(
            backend, store=store, rank=rank, world_size=count, timeout=timeout
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"the other processes cannot be reached ({_first_line(error)})",
            "start them with torchrun, see docs/several-machines.md",
        ) from error
    return dist.PrefixStore("mmgraph", store), timeout


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


class _Others:
    """The other processes, by what they leave in the store of the group.

    Args:
        store: The store, which outlives the connections.
        timeout: After which a process counts as hung.
    """

    def __init__(self, store: dist.Store, timeout: timedelta) -> None:
        self._store, self._timeout, self._world = store, timeout, world()
        store.set(f"where/{self._world.rank}", f"{os.getpid()} {socket.gethostname()}")

    def say_once(self, error: BaseException) -> None:
        """Say what ended this process, if no other does or its own message will."""
        own_fault = not isinstance(error, ConnectionLostError | KeyboardInterrupt)
        gone: list[int] = []
        try:
            speaks = own_fault and self._is_speaker()
            self._store.set(f"here/{self._world.rank}", "")
            _leave()  # so that the others see it
            if not own_fault:
                gone = self._missing("here")
            speaks = speaks or self._is_speaker()
            self._store.set(f"done/{self._world.rank}", "")
            if self._world.is_first:  # the store may be here
                self._missing("done", but=gone)
        except RuntimeError:
            # The process with the store is gone, so each speaks for itself; all have
            # been interrupted, then.
            speaks = not isinstance(error, KeyboardInterrupt)
        if speaks and gone:
            logger.error("error: %s", self._line(gone))
        if gone or not speaks:
            be_silent()

    def _is_speaker(self) -> bool:
        return self._store.add("speakers", 1) == 1

    def _missing(self, word: str, but: Collection[int] = ()) -> list[int]:
        """Processes that are gone, or else those that do not say a word in time."""
        deadline = time.monotonic() + _SECONDS_TO_ANSWER
        while True:
            others = set(range(self._world.size)) - set(but)
            missing = [r for r in sorted(others) if not self._has_said(word, r)]
            dead = [rank for rank in missing if self._is_dead(rank)]
            if dead or not missing or time.monotonic() > deadline:
                return dead or missing
            time.sleep(0.1)

    def _has_said(self, word: str, rank: int) -> bool:
        return self._store.check([f"{word}/{rank}"])

    def _where(self, rank: int) -> tuple[int, str]:
        pid, host = self._store.get(f"where/{rank}").decode().split(" ", 1)
        return int(pid), host

    def _is_dead(self, rank: int) -> bool:
        pid, host = self._where(rank)
        if host != socket.gethostname():
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass
        return False

    def _line(self, gone: list[int]) -> str:
        places = {rank: self._where(rank) for rank in gone}
        names = [f"{r} (pid {pid} on {host})" for r, (pid, host) in places.items()]
        what = "is gone" if any(map(self._is_dead, gone)) else "does not answer"
        return (
            f"process {', '.join(names)} of {self._world.size} {what} - start again "
            "with --resume"
        )


def _ignore_signals() -> None:
    """For good: the process is about to end.

    To block them would not do: the threads of the exchange take them, too. The alarm is
    that by which the command line raises an interruption again that was lost.
    """
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGALRM", "SIGINT", "SIGTERM"):
            if hasattr(signal, name):  # Windows has no alarm
                signal.signal(getattr(signal, name), signal.SIG_IGN)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
