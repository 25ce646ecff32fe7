"""Memory and open files over many tiny epochs.

Trains a system on a tiny catalogue, checkpoints included, and prints resident memory
and open descriptors after the first epochs and at the end::

    python -m benchmarks endurance MF-BPR VBPR+CLEAR --epochs 10000

The growth is that from epoch 100 on, of a line through all measurements (the
allocator's steps make single ones differ), less what the rows of the history take,
which are the result.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from mmgraph.data import synthetic
from mmgraph.models import build_model
from mmgraph.train import Trainer


def resident_bytes() -> int:
    """Resident memory of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    """Open descriptors of this process (Linux)."""
    return len(os.listdir("/proc/self/fd"))


def endure(
    name: str, epochs: int, *, warm_up: int = 100, checkpoint_seconds: float = 15.0
) -> dict[str, float]:
    """Train for many epochs; growth of memory and of descriptors after the first."""
    train, val, _, _ = synthetic(num_users=60, num_items=50, interactions_per_user=12)
    host, _, plugin = name.partition("+")
    torch.manual_seed(0)
    options = {"plugin": plugin, "rank": 2} if plugin == "CLEAR" else {}
    model = build_model(host, train, embedding_dim=8, **options)
    measured: list[tuple[int, int, int]] = []
    kept = 0

    def measure(row: dict[str, float]) -> None:
        nonlocal kept
        kept += sys.getsizeof(row) + sum(map(sys.getsizeof, row.values()))
        if row["epoch"] > warm_up:
            memory = resident_bytes() - kept
            measured.append((int(row["epoch"]), memory, open_files()))

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            epochs=epochs,
            patience=epochs,
            device="cpu",
            checkpoint_seconds=checkpoint_seconds,
        )
        trainer.fit(model, train, val, on_epoch=measure, checkpoint_dir=folder)
    epoch, memory, files = np.array(measured, dtype=float).T
    slope = np.polyfit(epoch, memory, 1)[0]
    return {
        "memory_mb": memory[0] / 2**20,
        "growth": slope * (epoch[-1] - epoch[0]) / memory[0],
        "bytes_per_epoch": slope,
        "more_files": files[-1] - files[0],
    }


def main() -> None:
    """Print a line per system."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("systems", nargs="*", default=["MF-BPR", "VBPR+CLEAR"])
    parser.add_argument("--epochs", type=int, default=10_000)
    given = parser.parse_args()
    for name in given.systems:
        figures = endure(name, given.epochs)
        print(
            f"{name}: {given.epochs} epochs, {figures['memory_mb']:.0f} MiB, "
            f"growth {figures['growth']:.2%} ({figures['bytes_per_epoch']:.0f} bytes "
            f"an epoch), {figures['more_files']:.0f} more open files",
            flush=True,
        )


if __name__ == "__main__":
    main()
