"""What a GPU has to show, in order of value, in at most eight minutes.

    python -m benchmarks gpu [--device cuda] [--only PART ...] [--json FILE] [--quick]

Each part runs in a process of its own with a limit of its own, and writes each figure
as soon as it has it, so that what fails or is cut off costs nothing else:

- tests: those marked ``gpu``;
- propagation: every known way;
- epoch: every system in both fidelities at Baby's size, then at Sports' and Clothing's;
- knn: 7,050 x 4096 to 1,000,000 x 768, with hashes against the CPU up to 23,033 rows;
- waits: how often a step of each system makes the host wait for the device;
- determinism: two epochs of every system twice, bit by bit;
- tf32: the epoch of the systems that multiply most, with TF32;
- profile: launches and kernels of a step of SEA.

``--quick`` tries all of it on little: one system, a tiny catalogue, a few tests.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.record import append_record, surroundings

#: The parts, and the seconds that each may take.
SECONDS = {
    "tests": 115,
    "propagation": 25,
    "epoch": 165,
    "knn": 85,
    "waits": 20,
    "determinism": 35,
    "tf32": 15,
    "profile": 20,
}
SIZES = ("baby", "sports", "clothing")
KNN_SIZES = [(7_050, 4096), (23_033, 384), (100_000, 384), (1_000_000, 768)]
MOST_ROWS_ON_CPU = 23_033
Note = Callable[..., None]


def systems(quick: bool, *, both: bool = True) -> list[str]:
    """Every system, in its released form first where there is one."""
    from mmgraph.models import available_models, resolve_model

    names = ["VBPR"] if quick else available_models()
    specs = []
    for fidelity in ("released", "paper") if both else ("paper",):
        for name in names:
            if fidelity in resolve_model(name)[1].fidelities:
                specs.append(f"{name}@{fidelity}")
    return specs


def epoch(device: str, note: Note, quick: bool) -> None:
    """Seconds of an epoch and an evaluation, and the peak of the device's memory."""
    for size in ("tiny",) if quick else SIZES:
        note_epochs(device, note, systems(quick), size)


def note_epochs(device: str, note: Note, specs: list[str], size: str) -> None:
    """The figures of some systems; one that fails does not cost the others."""
    from benchmarks.epoch import catalogue, measure

    train, val = catalogue(None, size)
    batches = 1 if size == "tiny" else 20
    for system in specs:
        if device != "cpu":
            torch.cuda.reset_peak_memory_stats(device)
        try:
            row = measure(system, train, val, batches, device)
        except Exception as error:
            row = {"error": f"{type(error).__name__}: {error}"}
        if device != "cpu":
            row["device_mib"] = torch.cuda.max_memory_allocated(device) / 2**20
        note(system=system, size=size, **row)


def tf32(device: str, note: Note, quick: bool) -> None:
    """:func:`epoch` of few systems with products of float32 in TF32."""
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    if quick:
        note_epochs(device, note, ["VBPR@paper"], "tiny")
    else:
        note_epochs(device, note, ["SEA@released", "VBPR@paper", "MGCN@paper"], "baby")


def knn(device: str, note: Note, quick: bool) -> None:
    """Seconds of exact graphs; the smaller ones must be those of the CPU."""
    from benchmarks.roofline import now
    from mmgraph.knn import knn_graph
    from mmgraph.knn.digest import graph_digest

    for rows, dim in [(300, 16)] if quick else KNN_SIZES:
        x = torch.randn(rows, dim, generator=torch.Generator().manual_seed(0))
        on_device = x.to(device)
        begin = now(device)
        graph = knn_graph(on_device, 10)
        row: dict[str, Any] = {"rows": rows, "dim": dim, "seconds": now(device) - begin}
        note(**row)
        if rows <= MOST_ROWS_ON_CPU:
            mine = graph_digest(*(part.cpu() for part in graph))
            same = mine == graph_digest(*knn_graph(x, 10))
            note(rows=rows, dim=dim, as_on_cpu=same)


def waits(device: str, note: Note, quick: bool) -> None:
    """How often the host waits in a step, by torch's own count; None on a CPU."""
    for system in systems(quick):
        step = steps_of(system, device)
        with counted_waits(device) as found:
            for _ in range(4):
                step()
        note(system=system, waits_per_step=None if device == "cpu" else len(found) / 4)


def steps_of(system: str, device: str) -> Callable[[], Any]:
    """Trains the next batch of a small catalogue, the first epoch having begun."""
    from mmgraph.bench import parse_spec
    from mmgraph.data import load_dataset
    from mmgraph.models import build_model
    from mmgraph.train import Trainer
    from mmgraph.train.loop import TrainingRun

    spec, (train, _, _) = parse_spec(system), load_dataset("synthetic")
    model = build_model(spec.model, train, fidelity=spec.fidelity).to(device)
    data = model.add_graphs(train.to(device))
    options = Trainer(batch_size=128, device=device).options_for(model)
    run = TrainingRun(options, model, data, torch.device(device))
    model.train()
    model.start_epoch(data, 1, run.generator)
    batches = run.batches()
    for _ in range(2):  # what is made once an epoch
        run.step(next(batches))
    return lambda: run.step(next(batches))


@contextmanager
def counted_waits(device: str) -> Iterator[list[Any]]:
    """Collects a warning for each operation that waits."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        if device != "cpu":
            torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            if device != "cpu":
                torch.cuda.set_sync_debug_mode("default")
            found[:] = [w for w in found if "synchronizing" in str(w.message)]


def determinism(device: str, note: Note, quick: bool) -> None:
    """True for each system whose parameters are the same after the same steps."""
    from mmgraph.bench import parse_spec
    from mmgraph.data import load_dataset
    from mmgraph.models import build_model
    from mmgraph.train import Trainer

    train, val, _ = load_dataset("synthetic")
    for system in systems(quick, both=False):
        states = []
        for _ in range(2):
            torch.manual_seed(0)
            model = build_model(parse_spec(system).model, train)
            Trainer(epochs=2, seed=1, device=device).fit(model, train, val)
            states.append(model.state_dict())
        same = all(torch.equal(states[0][key], states[1][key]) for key in states[0])
        note(system=system, same=same)


def profile(device: str, note: Note, quick: bool) -> None:
    """Launches per step of SEA, and the costliest kernels of five steps."""
    from torch.profiler import ProfilerActivity, profile

    from benchmarks.epoch import catalogue
    from mmgraph.models import build_model
    from mmgraph.train import Trainer
    from mmgraph.train.loop import TrainingRun

    train, _ = catalogue(None, "tiny" if quick else "baby")
    model = build_model("SEA", train).to(device)
    options = Trainer(device=device, batch_size=32 if quick else 2048)
    data = model.add_graphs(train.to(device))
    run = TrainingRun(options.options_for(model), model, data, torch.device(device))
    model.train()
    batches = run.batches()
    run.step(next(batches))
    kinds = [ProfilerActivity.CPU]
    kinds += [] if device == "cpu" else [ProfilerActivity.CUDA]
    with profile(activities=kinds) as profiler:
        for _ in range(steps := 1 if quick else 5):
            run.step(next(batches))
    events = profiler.key_averages()
    launched = sum(e.count for e in events if e.key.startswith("cudaLaunch"))
    note(steps=steps, launches_per_step=launched / steps)
    key = "self_cpu_time_total" if device == "cpu" else "self_device_time_total"
    for event in sorted(events, key=lambda e: -getattr(e, key))[:25]:
        note(kernel=event.key, calls=event.count, us=getattr(event, key))


#: What this module measures by itself; the others are commands.
PARTS = {
    "epoch": epoch,
    "knn": knn,
    "waits": waits,
    "determinism": determinism,
    "tf32": tf32,
    "profile": profile,
}


def main() -> None:
    """Every part within its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", nargs="*", choices=SECONDS)
    parser.add_argument("--json")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    device = surroundings(args.device)["device"]

    def note(part: str, **row: Any) -> None:
        row = {"device": device, **row}
        print(part, row, flush=True)
        append_record(args.json, f"gpu {part}", row)

    if args.part:
        PARTS[args.part](args.device, lambda **row: note(args.part, **row), args.quick)
        return
    note("surroundings", **surroundings(args.device))
    for part in args.only or SECONDS:
        begin = time.monotonic()
        outcome = run_part(part, args, note)
        note(part, outcome=outcome, seconds=round(time.monotonic() - begin, 1))


def run_part(part: str, args: argparse.Namespace, note: Note) -> str:
    """Run one part and print what it prints; how it ended."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "rows.json"
        seconds = 120 if args.quick else SECONDS[part]  # to find faults, not figures
        outcome, printed = run(command(part, args, table), seconds)
        print(printed, flush=True)
        if table.exists():  # of a suite that is not of this module
            for row in json.loads(table.read_text())["rows"]:
                note(part, **row)
    return f"{outcome}; {(printed.strip().splitlines() or [''])[-1][:200]}"


def command(part: str, args: argparse.Namespace, table: Path) -> list[str]:
    """The words after ``python`` that run one part."""
    if part == "tests":
        few = ["-n", "0", "tests/nn"] if args.quick else ["-n", "4", "tests"]
        return ["-m", "pytest", "-m", "gpu", "-q", *few]
    if part == "propagation":
        words = ["--device", args.device, "--json", str(table)]
        words += ["--rounds", "1"] if args.quick else []
        return ["-m", "benchmarks.propagation", *words]
    words = ["--part", part, "--device", args.device]
    words += ["--quick"] if args.quick else []
    words += ["--json", args.json] if args.json else []
    return ["-m", "benchmarks.gpu", *words]


def run(words: list[str], seconds: float) -> tuple[str, str]:
    """How a command ended and what it printed; ended itself, children and all."""
    process = subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return f"cut off after {seconds} s", process.communicate()[0]
    return f"exit {process.returncode}", printed


if __name__ == "__main__":
    main()
