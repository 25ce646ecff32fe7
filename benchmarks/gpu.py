"""What a GPU has to show, in order of value, in at most eight minutes.

    python -m benchmarks gpu [--device cuda] [--only PART ...] [--json FILE]

Each part runs in a process of its own with a limit of its own, and writes each figure
as soon as it has it, so that what a limit cuts off costs nothing else:

- tests: those marked ``gpu``;
- epoch: every system in both fidelities at Baby's size, then at Sports' and Clothing's;
- propagation: every known way;
- knn: 7,050 x 4096 to 1,000,000 x 768, with hashes against the CPU up to 23,033 rows;
- determinism: twenty steps of every system twice, bit by bit;
- profile: the kernels of a step of SEA.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.record import append_record, surroundings

SECONDS = {
    "tests": 120,
    "epoch": 180,
    "propagation": 25,
    "knn": 90,
    "determinism": 45,
    "profile": 20,
}
KNN_SIZES = [(7_050, 4096), (23_033, 384), (100_000, 384), (1_000_000, 768)]
MOST_ROWS_ON_CPU = 23_033
Note = Callable[..., None]


def epoch(device: str, note: Note) -> None:
    """Seconds of an epoch and an evaluation, and the peak of the device's memory."""
    from benchmarks.epoch import SIZES, catalogue, measure
    from mmgraph.models import available_models

    for size in SIZES:
        train, val = catalogue(None, size)
        for fidelity in ("@released", ""):
            for name in available_models():
                if device != "cpu":
                    torch.cuda.reset_peak_memory_stats(device)
                try:
                    row = measure(name + fidelity, train, val, 20, device)
                except Exception as error:  # one system must not cost the others
                    row = {"error": f"{type(error).__name__}: {error}"}
                if device != "cpu":
                    row["device_mib"] = torch.cuda.max_memory_allocated(device) / 2**20
                note(system=name + fidelity, size=size, **row)


def knn(device: str, note: Note) -> None:
    """Seconds of exact graphs; the smaller ones must be those of the CPU."""
    from benchmarks.roofline import now
    from mmgraph.knn import knn_graph
    from mmgraph.knn.digest import graph_digest

    for rows, dim in KNN_SIZES:
        x = torch.randn(rows, dim, generator=torch.Generator().manual_seed(0))
        on_device = x.to(device)
        begin = now(device)
        graph = knn_graph(on_device, 10)
        row: dict[str, Any] = {"rows": rows, "dim": dim, "seconds": now(device) - begin}
        if rows <= MOST_ROWS_ON_CPU:
            mine = graph_digest(*(part.cpu() for part in graph))
            row["as_on_cpu"] = mine == graph_digest(*knn_graph(x, 10))
        note(**row)


def determinism(device: str, note: Note) -> None:
    """True for each system whose parameters are the same after the same steps."""
    from mmgraph.data import load_dataset
    from mmgraph.models import available_models, build_model
    from mmgraph.train import Trainer

    train, val, _ = load_dataset("synthetic")
    for name in available_models():
        states = []
        for _ in range(2):
            torch.manual_seed(0)
            model = build_model(name, train)
            Trainer(epochs=2, seed=1, device=device).fit(model, train, val)
            states.append(model.state_dict())
        same = all(torch.equal(states[0][key], states[1][key]) for key in states[0])
        note(system=name, same=same)


def profile(device: str, note: Note) -> None:
    """The costliest kernels of five steps of SEA."""
    from torch.profiler import ProfilerActivity, profile

    from benchmarks.epoch import catalogue
    from mmgraph.models import build_model
    from mmgraph.train import Trainer
    from mmgraph.train.loop import TrainingRun

    train, _ = catalogue(None)
    model = build_model("SEA", train).to(device)
    options = Trainer(device=device).options_for(model)
    data = model.add_graphs(train.to(device))
    run = TrainingRun(options, model, data, torch.device(device))
    model.train()
    batches = run.batches()
    run.step(next(batches))
    kinds = [ProfilerActivity.CPU]
    kinds += [] if device == "cpu" else [ProfilerActivity.CUDA]
    with profile(activities=kinds) as profiler:
        for _ in range(5):
            run.step(next(batches))
    key = "self_cpu_time_total" if device == "cpu" else "self_device_time_total"
    for event in sorted(profiler.key_averages(), key=lambda e: -getattr(e, key))[:25]:
        note(kernel=event.key, calls=event.count, us=getattr(event, key))


PARTS = {"epoch": epoch, "knn": knn, "determinism": determinism, "profile": profile}


def main() -> None:
    """Every part within its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", nargs="*", choices=SECONDS)
    parser.add_argument("--json")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:

        def note(**row: Any) -> None:
            print(args.part, row, flush=True)
            append_record(args.json, f"gpu {args.part}", row)

        PARTS[args.part](args.device, note)
        return
    print(surroundings(args.device))
    append_record(args.json, "gpu", surroundings(args.device))
    saved = ["--json", args.json] if args.json else []
    for part in args.only or SECONDS:
        words = {
            "tests": ["-m", "pytest", "-m", "gpu", "-q", "-n", "4", "tests"],
            "propagation": ["-m", "benchmarks.propagation", "--device", args.device],
        }.get(
            part,
            ["-m", "benchmarks.gpu", "--part", part, "--device", args.device, *saved],
        )
        begin = time.monotonic()
        try:
            done = subprocess.run(
                [sys.executable, *words], timeout=SECONDS[part], check=False
            )
            outcome = f"exit {done.returncode}"
        except subprocess.TimeoutExpired:
            outcome = "cut off"
        print(
            f"== {part}: {outcome} after {time.monotonic() - begin:.0f} s", flush=True
        )


if __name__ == "__main__":
    main()
