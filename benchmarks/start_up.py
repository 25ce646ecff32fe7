"""CPU seconds of imports, and of commands that do nothing.

    python -m benchmarks start-up [--repeats 3] [--json FILE]

Each runs in a process of its own; medians of the CPU seconds of the whole process.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys

from benchmarks.record import append_record, surroundings

COMMANDS = {
    "python": "pass",
    "import torch": "import torch",
    "import torch_geometric": "import torch_geometric",
    "import mmgraph": "import mmgraph",
    "import mmgraph.models": "import mmgraph.models",
    "mmgraph --version": "from mmgraph.cli import main; main(['--version'])",
    "mmgraph train --help": "from mmgraph.cli import main; main(['train', '--help'])",
    "mmgraph models": "from mmgraph.cli import main; main(['models'])",
}


def cpu_seconds(code: str) -> float:
    """CPU seconds of a process that runs ``code``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Every command in turn, several times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json")
    args = parser.parse_args()
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(args.repeats):
        for name, code in COMMANDS.items():
            taken[name].append(cpu_seconds(code))
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        print(f"{name:24}{median:8.2f}")
        row = {"command": name, "cpu_seconds": median, **surroundings()}
        append_record(args.json, "start-up", row)


if __name__ == "__main__":
    main()
