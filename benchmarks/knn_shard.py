"""A shard of a table far larger than memory, through the command line.

    OMP_NUM_THREADS=1 python -m benchmarks knn-shard [--gigabytes 20] [--ram 2GB]

Writes a table of float32 features, lets ``mmgraph knn blocks`` make the last of its
blocks, which holds ``--queries`` rows, in a process of its own, and prints that
process' CPU seconds and peak of resident memory. Some of the lists are then compared
with the float64 products of all rows.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mmgraph.knn.jobs.work_folder import WorkFolder

DIM, K, BLOCK = 384, 10, 8192  # rows of a full block where memory does not bound it
AT_ONCE = 65_536  # rows


def write_table(path: Path, num_rows: int) -> None:
    """Rows around 500 centres."""
    generator = np.random.default_rng(0)
    centre = generator.standard_normal((500, DIM), np.float32)
    table = np.lib.format.open_memmap(path, "w+", np.float32, (num_rows, DIM))
    for start in range(0, num_rows, AT_ONCE):
        part = table[start : start + AT_ONCE]
        part[:] = generator.standard_normal(part.shape, np.float32)
        part += centre[generator.integers(500, size=len(part))]
    table.flush()


# The peak is asked of the process itself: what the system tells its parent starts at
# the parent's own.
_PROGRAM = """
import sys, torch
from mmgraph.cli import main
from mmgraph.bench.memory import peak_memory
code = main()
print(peak_memory(torch.device("cpu")))
sys.exit(code)
"""


def run(words: list[str]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak MB of a command that must succeed."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *words], stdout=subprocess.PIPE, check=True
    )
    wall, after = (
        time.perf_counter() - start,
        resource.getrusage(resource.RUSAGE_CHILDREN),
    )
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return wall, cpu, int(done.stdout.split()[-1]) / 1e6


def by_definition(path: Path, rows: np.ndarray) -> np.ndarray:
    """The nearest rows in float64, similarities rounded to float32, ties by id."""
    table = np.load(path, mmap_mode="r")
    query = table[rows].astype(np.float64)
    query /= np.linalg.norm(query, axis=1, keepdims=True)
    best = np.full((len(rows), 0), 0, np.int64)
    value = np.full((len(rows), 0), 0, np.float32)
    for start in range(0, len(table), AT_ONCE):
        x = np.asarray(table[start : start + AT_ONCE], np.float64)
        cosine = query @ x.T / np.linalg.norm(x, axis=1)
        id_ = np.arange(start, start + len(x))
        cosine[rows[:, None] == id_] = -np.inf
        value = np.concatenate([value, cosine.astype(np.float32)], axis=1)
        best = np.concatenate([best, np.tile(id_, (len(rows), 1))], axis=1)
        order = np.lexsort((best, -value))[:, :K]
        value = np.take_along_axis(value, order, axis=1)
        best = np.take_along_axis(best, order, axis=1)
    return best


def main() -> None:
    """Write, build, check, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=20)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--ram", default="2GB")
    parser.add_argument("--sample", type=int, default=50)
    parser.add_argument("--folder", help="for the table; a temporary one by default")
    options = parser.parse_args()
    num_blocks = int(options.gigabytes * 1e9 / (4 * DIM * BLOCK))
    num_rows = num_blocks * BLOCK + options.queries
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        path, work = Path(place) / "x.npy", Path(place) / "work"
        write_table(path, num_rows)
        print(f"{num_rows} x {DIM} float32, {path.stat().st_size / 1e9:.2f} GB")
        shard = f"{num_blocks + 1}/{num_blocks + 1}"
        words = ["knn", "blocks", str(path), "--k", str(K)]
        words += ["--work", str(work), "--ram", options.ram, "--shard", shard]
        wall, cpu, peak = run([*words, "--device", "cpu", "--quiet"])
        centre, neighbour, _ = WorkFolder(work).read_block(num_blocks)
        print(
            f"shard {shard}: {len(centre)} rows against all under --ram {options.ram}: "
            f"{cpu:.0f} CPU s, {wall:.0f} s, peak {peak:.0f} MB"
        )
        chosen = np.random.default_rng(1).permutation(len(centre))[: options.sample]
        expected = by_definition(path, centre.numpy()[chosen])
        same = (neighbour.numpy()[chosen] == expected).all(axis=1)
        print(f"{same.sum()} of {len(same)} sampled lists as in float64")


if __name__ == "__main__":
    main()
