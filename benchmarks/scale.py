"""What a step of LightGCN costs by size and processes: measured, fitted, extended.

    OMP_NUM_THREADS=1 python -m benchmarks scale [--json FILE] [--points FILE]

Random graphs of several sizes are trained for a few steps in 1, 2 and 4 processes, with
embeddings that are whole in each and with shared ones. Time is CPU time of the
costliest process, so that others may use the machine; an exchange counts by what the
process itself does for it. Terms of a cost model are fitted to these points and
compared with points that the fit has not seen. What the model then says about large
catalogues on GPUs is computed from the vendor's sheet, not measured.

--memory shows the peak of whole trainings of a larger graph in 1, 2 and 4 processes.
--points takes the points of an earlier --json, of each the cheapest, and measures what
is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from benchmarks.record import append_record, surroundings
from benchmarks.scale_point import BATCH, LAYERS, Point

FITTED = [
    Point(20_000, 100_000),
    Point(20_000, 400_000),
    Point(80_000, 100_000),
    Point(80_000, 400_000),
    Point(80_000, 400_000, dim=32),
    Point(20_000, 400_000, processes=2),
    Point(80_000, 100_000, processes=2),
    Point(80_000, 400_000, dim=32, processes=2),
    Point(80_000, 100_000, processes=4),
    Point(20_000, 400_000, processes=2, shared=True),
    Point(80_000, 100_000, processes=2, shared=True),
    Point(80_000, 400_000, processes=2, shared=True),
    Point(80_000, 400_000, dim=32, processes=2, shared=True),
    Point(20_000, 100_000, processes=4, shared=True),
    Point(80_000, 400_000, processes=4, shared=True),
]
HELD_OUT = [
    Point(40_000, 200_000),
    Point(120_000, 300_000),
    Point(40_000, 200_000, processes=2),
    Point(120_000, 300_000, processes=2, shared=True),
    Point(40_000, 200_000, processes=2, shared=True),
    Point(40_000, 200_000, processes=4, shared=True),
    Point(60_000, 600_000, dim=32, processes=2, shared=True),
]


#: Whose embeddings are most of the memory.
LARGER = [
    Point(400_000, 40_000, processes=count, shared=shared)
    for count, shared in ((1, False), (2, False), (2, True), (4, True))
]


def columns(point: Point) -> float:
    """Columns of the embeddings in one process."""
    return -(-point.dim // point.processes) if point.shared else point.dim


def exchanged(point: Point) -> dict[str, float]:
    """Bytes that a process hands over in a step: exact, from what the code does.

    Without sharing, the gradient of all embeddings is added up. With it, the rows of
    users and items of the batch come together, propagated and as they are, and their
    gradients are added up.
    """
    if point.processes == 1:
        return {"all_reduce": 0, "all_gather": 0}
    if not point.shared:
        return {"all_reduce": 4 * point.nodes * point.dim, "all_gather": 0}
    rows = 2 * 3 * min(BATCH, point.pairs)
    return {
        "all_reduce": 4 * rows * point.dim,
        "all_gather": 4 * rows * columns(point),
    }


def on_the_wire(point: Point) -> float:
    """Bytes that a process sends in a step, by a ring: each part goes all the way."""
    others = point.processes - 1
    sent = exchanged(point)
    return (
        2 * others / point.processes * sent["all_reduce"] + others * sent["all_gather"]
    )


def time_terms(point: Point) -> dict[str, float]:
    """What the CPU seconds of a step are made of, each with a rate that is fitted."""
    width, rows = columns(point), 6 * BATCH
    return {
        "propagation": 4 * LAYERS * point.pairs * width,
        "tables": point.nodes * width,
        "batch": rows * point.dim,
        "exchange": on_the_wire(point),
    }


def memory_terms(point: Point) -> dict[str, float]:
    """What the memory of a process is made of, in bytes but for a factor."""
    table = 4.0 * point.nodes * columns(point)
    together = point.processes > 1
    return {
        "tables": table,
        "whole table": 4.0 * point.nodes * point.dim,
        "exchanged gradient": 0.0 if point.shared or not together else table,
        "pairs": 16.0 * point.pairs,
        "process": 2.0**20,
    }


def fit(rows: list[dict[str, float]], values: list[float]) -> dict[str, float]:
    """Rates of the terms, none below 0, least squares of the relative errors."""
    scale = np.array(values)
    matrix = np.array([list(row.values()) for row in rows]) / scale[:, None]
    largest = matrix.max(axis=0)
    largest[largest == 0] = 1
    rates, _ = nnls(matrix / largest, np.ones(len(values)))
    return dict(zip(rows[0], (rates / largest).tolist(), strict=True))


def predicted(terms: dict[str, float], rates: dict[str, float]) -> float:
    """The sum of the terms by their rates."""
    return sum(rates[name] * size for name, size in terms.items())


def measure(point: Point, *words: str) -> dict[str, Any]:
    """What a point costs, in processes of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    module = [sys.executable, "-m", "benchmarks.scale_point"]
    command = [*module, json.dumps(asdict(point)), *words]
    processes = []
    for rank in range(point.processes):
        named = {
            "RANK": rank,
            "LOCAL_RANK": rank,
            "WORLD_SIZE": point.processes,
            "LOCAL_WORLD_SIZE": point.processes,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
        }
        environment = {
            **os.environ,
            **{name: str(each) for name, each in named.items()},
        }
        out = subprocess.PIPE if rank == 0 else subprocess.DEVNULL
        processes.append(
            subprocess.Popen(command, env=environment, stdout=out, text=True)
        )
    text, _ = processes[0].communicate()
    if any(process.wait() for process in processes):
        raise RuntimeError(f"{point} failed")
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    return found


def compare(
    points: list[Point], found: list[dict[str, Any]], rates: dict[str, dict[str, float]]
) -> float:
    """Print measured and predicted cost; the largest relative error."""
    print(f"{'nodes':>8}{'pairs':>9}{'d':>4}{'n':>3} shared   CPU s of a step   MiB")
    largest = 0.0
    for point, row in zip(points, found, strict=True):
        seconds = predicted(time_terms(point), rates["seconds"])
        memory = predicted(memory_terms(point), rates["memory"])
        errors = [seconds / row["seconds"] - 1, memory / row["memory"] - 1]
        largest = max(largest, *map(abs, errors))
        print(
            f"{point.nodes:>8}{point.pairs:>9}{point.dim:>4}{point.processes:>3}"
            f"{'yes' if point.shared else '':>7}{row['seconds']:8.3f}{seconds:8.3f} "
            f"{errors[0]:+4.0%}{row['memory'] / 2**20:8.0f}{memory / 2**20:6.0f} "
            f"{errors[1]:+4.0%}"
        )
        assert row["sent"] == exchanged(point), (row["sent"], exchanged(point))
    return largest


# On GPUs, by the vendor's sheet ---------------------------------------------------

#: H100 SXM: bytes of memory, bytes per second of memory, of the links between the GPUs
#: of a machine and, each GPU its own NDR InfiniBand, between machines; one direction.
DEVICE, MEMORY_RATE, LINK_RATE, NET_RATE = 80e9, 3.35e12, 450e9, 50e9
GPUS_PER_MACHINE, SECTOR = 8, 32
USERS, ITEMS, PAIRS, LARGE_BATCH, DIM = 60e6, 10e6, 1e9, 2**20, 64


def on_gpus(count: int, table_copies: float) -> dict[str, float]:
    """Memory, exchange and seconds of an epoch of LightGCN with shared embeddings.

    A product reads index and weight of each entry and a row of the embeddings, of
    which the memory gives no less than a sector; that is its time. Adam and the copies
    of tables are read and written once each. A rank sends what :func:`on_the_wire`
    says, by the slowest link.
    """
    width, nodes = -(-DIM // count), USERS + ITEMS
    table = 4 * nodes * width
    row = max(SECTOR, 4 * width)
    product = 2 * PAIRS * (8 + row) + nodes * row
    steps = PAIRS / LARGE_BATCH
    sent = 6 * LARGE_BATCH * 4 * (2 * DIM + (count - 1) * width) if count > 1 else 0
    link = LINK_RATE if count <= GPUS_PER_MACHINE else NET_RATE
    seconds = (2 * LAYERS * product + 2 * table_copies * table) / MEMORY_RATE
    # Pairs as they are, sorted for the negatives, and both directions of the graph.
    graph = PAIRS * (16 + 8 + 2 * 8)
    rows = 6 * LARGE_BATCH * 4 * DIM * 4
    return {
        "memory": table_copies * table + graph + rows,
        "sent": sent,
        "seconds": steps * (seconds + sent / link),
        "exchange": steps * sent / link,
    }


def print_large(rates: dict[str, float]) -> None:
    """The table of one, eight and 64 GPUs."""
    copies = rates["tables"]
    print(
        f"\n60M users, 10M items, 1B pairs, batch 2^20: computed ({copies:.1f} tables)"
    )
    for count in (1, 8, 64):
        cost = on_gpus(count, copies)
        fits = "" if cost["memory"] <= DEVICE else ", does not fit"
        print(
            f"{count:>3} GPUs: {cost['memory'] / 1e9:6.1f} GB each{fits}; "
            f"{cost['sent'] / 1e9:.2f} GB sent per step; {cost['seconds']:.0f} s per "
            f"epoch at least, {cost['exchange']:.0f} s of them exchange"
        )


def main() -> None:
    """Measure or read the points, fit, compare, extend."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", help="append the points here")
    parser.add_argument("--memory", action="store_true", help="of whole trainings")
    parser.add_argument("--points", type=Path, help="points of an earlier --json")
    args = parser.parse_args()
    if args.memory:
        for point in LARGER:
            memory = measure(point, "fit")["memory"] / 2**20
            print(f"{point}: {memory:.0f} MiB in the largest process")
        return
    found = {}
    if args.points is not None:
        lines = [json.loads(line) for line in args.points.read_text().splitlines()]
        names = asdict(FITTED[0])
        for line in sorted(lines, key=lambda line: -line["seconds"]):
            found[Point(**{n: line[n] for n in names})] = line  # the cheapest is last
    for point in [*FITTED, *HELD_OUT]:
        if point not in found:
            start = time.perf_counter()
            found[point] = measure(point)
            append_record(args.json, "scale", found[point] | surroundings())
            seconds = time.perf_counter() - start
            print(f"{point}: {seconds:.0f} s", file=sys.stderr)
    fitted = [found[point] for point in FITTED]
    rates = {
        name: fit([terms(p) for p in FITTED], [row[name] for row in fitted])
        for name, terms in (("seconds", time_terms), ("memory", memory_terms))
    }
    print("fitted:")
    compare(FITTED, fitted, rates)
    print("held out:")
    largest = compare(HELD_OUT, [found[point] for point in HELD_OUT], rates)
    print(f"largest error of a held-out point: {largest:.0%}")
    for name, each in rates.items():
        print(name, {term: f"{rate:.3g}" for term, rate in each.items()})
    print_large(rates["memory"])


if __name__ == "__main__":
    main()
