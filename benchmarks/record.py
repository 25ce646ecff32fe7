"""What every measurement records beside its figures, as lines of JSON."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from mmgraph.bench.memory import peak_memory
from mmgraph.bench.versions import versions


def surroundings(device: str = "cpu") -> dict[str, Any]:
    """Device, load, threads and versions at this moment."""
    name = platform.machine() if device == "cpu" else torch.cuda.get_device_name(device)
    return {
        "date": datetime.date.today().isoformat(),
        "device": name,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }


def append_record(path: str | None, suite: str, row: dict[str, Any]) -> None:
    """Append one line of JSON; does nothing without a path."""
    if path is not None:
        with Path(path).open("a") as file:
            file.write(json.dumps({"suite": suite, **row}) + "\n")


def in_own_process(module: str, *words: str, **environment: str) -> dict[str, Any]:
    """The line of JSON that a module of this package prints, run by itself.

    Peaks of memory are those of a process, so what is compared must not share one.

    Raises:
        RuntimeError: If it fails; with the last line of what it wrote.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def peak_mib() -> float:
    """Largest resident set of this process so far.

    What ``getrusage`` says begins with that of the process that started this one.
    """
    return peak_memory(torch.device("cpu")) / 2**20
