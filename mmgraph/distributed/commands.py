"""A command that several processes do together, started by ``torchrun``.

Imports next to nothing, as every command is decorated when one is read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def in_all_processes(command: Callable[P, T]) -> Callable[P, T]:
    """Let a command join the other processes that it was started in, if there are any.

    The first of them shows progress and writes results. Errors are said once.

    Args:
        command: Has the arguments ``device`` and ``quiet``.

    Example:
        >>> @in_all_processes
        ... def command(device: str, quiet: bool) -> str:
        ...     return device
        >>> command(device="cpu", quiet=True)
        'cpu'
    """

    @wraps(command)
    def joined(*args: P.args, **kwargs: P.kwargs) -> T:
        if int(os.environ.get("WORLD_SIZE", 1)) == 1:
            return command(*args, **kwargs)
        from mmgraph.distributed.group import joined_processes
        from mmgraph.distributed.world import world

        options: dict[str, Any] = kwargs
        with joined_processes(options["device"]) as device:
            options["device"] = device
            if world().is_first:
                return command(*args, **kwargs)
            options["quiet"] = True
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
                return command(*args, **kwargs)

    return joined
