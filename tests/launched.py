"""Processes of one training, with the variables that torchrun gives.

They are forked from a process that has imported what they need: that takes seconds.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
# Functions of a test are found by the name of its module, ``tests.room.test_it``.
sys.path.append(str(Path(__file__).parents[1]))
CONTEXT.set_forkserver_preload(
    ["mmgraph.cli.app", "mmgraph.bench.training", "mmgraph.distributed.group"]
)
#: Far more than any of these trainings takes, on a machine however busy.
SECONDS = 300


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command_line(*words):
    """``mmgraph`` with these words, as a process of its own."""
    from mmgraph.cli import main

    sys.argv = ["mmgraph", *map(str, words)]
    return main()


def _run(variables, out, err, function, args):
    # The server may have been started by one that ignores an interruption.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.update(variables)
    for stream, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
    sys.stdout, sys.stderr = (os.fdopen(os.dup(n), "w") for n in (1, 2))
    code = 1
    try:
        code = function(*args)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)


class Launched:
    """So many processes that call one function.

    Args:
        count: How many.
        folder: For what they write to stdout and stderr.
        function: Gives the exit code, or None for 0.
        args: Its arguments.
        more: Further arguments by rank.
        env: Variables of all.
    """

    def __init__(self, count, folder: Path, function, *args, more=None, env=None):
        port = free_port()
        self._files = [
            [folder / f"{name}-{port}-{rank}" for name in ("out", "err")]
            for rank in range(count)
        ]
        self.all = []
        for rank, (out, err) in enumerate(self._files):
            variables = {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(count),
                "LOCAL_WORLD_SIZE": str(count),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                **(env or {}),
            }
            own = [*args, *(more or {}).get(rank, [])]
            given = (variables, str(out), str(err), function, own)
            self.all.append(CONTEXT.Process(target=_run, args=given, daemon=True))
        for one in self.all:
            one.start()

    def outputs(self):
        """Exit code, stdout and stderr of each, when all have ended."""
        for one in self.all:
            one.join(SECONDS)
        codes = [one.exitcode for one in self.all]
        self.end()
        texts = [[path.read_text() for path in pair] for pair in self._files]
        return [(code, *pair) for code, pair in zip(codes, texts, strict=True)]

    def end(self):
        for one in self.all:
            one.kill()
            one.join()
