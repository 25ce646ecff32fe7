"""CPU seconds per epoch, per evaluation, and peak memory of each system.

    python benchmarks/epoch_cost.py [SPEC ...] [--data DIR] [--batches 6] [--json FILE]

Features are synthetic, random numbers of the papers' widths (4096 visual, 384 textual);
the graph is that of --data, or random of the size of Amazon Baby. Each system runs in a
process of its own: one warm-up batch, then a new epoch, of which its start, its first
batch (where learned graphs are rebuilt) and --batches further batches of 2048 are
timed; the mean of the latter stands for the rest of the epoch. Process CPU time of all
threads, so that a busy machine does not count. The peak is the resident set of the
process; what the libraries and the data take is also taken off it ("beyond").
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

DIMS = {"visual": 4096, "textual": 384}
VARIANTS = ("SEA:variant=b", "SEA:candidates=batch")  # what costs otherwise


def catalogue(folder: str | None):  # type: ignore[no-untyped-def]
    """Training data and one held-out split, with synthetic features."""
    from mmgraph.data import from_interactions, load_dataset, split_per_user
    from mmgraph.schema import feature_key

    rng = np.random.default_rng(0)
    if folder is not None:
        train, val, _ = load_dataset(folder, modalities=[])
        items = train["item"].num_nodes
        for name, dim in DIMS.items():
            x = torch.from_numpy(rng.standard_normal((items, dim), dtype=np.float32))
            train["item"][feature_key(name)] = val["item"][feature_key(name)] = x
        return train, val
    users, items, number = 19_445, 7_050, 160_792
    item = (items * rng.random(number) ** 3).astype(int)
    pairs = np.unique(np.stack([rng.integers(users, size=number), item]), axis=1)
    features = {
        name: rng.standard_normal((items, dim), dtype=np.float32)
        for name, dim in DIMS.items()
    }
    data = from_interactions(
        pairs[0],
        pairs[1],
        features=features,
        users=np.arange(users),
        items=np.arange(items),
    )
    train, val, _ = split_per_user(data)
    return train, val


def peak_mib() -> float:
    """Largest resident set of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(spec: str, folder: str | None, batches: int) -> dict[str, object]:
    """The figures of one system."""
    from mmgraph.allocator import keep_freed_memory
    from mmgraph.bench import parse_spec
    from mmgraph.models import Batch, build_model
    from mmgraph.schema import INTERACTS
    from mmgraph.train import evaluate

    keep_freed_memory()  # as the commands do
    named = parse_spec(spec)
    train, val = catalogue(folder)
    torch.manual_seed(0)
    at_rest = peak_mib()
    begin = time.process_time()
    model = build_model(
        named.model,
        train,
        plugin=named.plugin,
        fidelity=named.fidelity,
        **named.options,
    )
    data = model.add_graphs(train)
    setup = time.process_time() - begin
    optimizer = torch.optim.Adam(model.main_parameters(), lr=model.lr, fused=True)
    edges = train[INTERACTS].edge_index
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        pick = torch.randint(edges.size(1), (2048,), generator=generator)
        negative = torch.randint(data["item"].num_nodes, (2048,), generator=generator)
        terms = model.training_loss(data, Batch(*edges[:, pick], negative))
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()

    model.train()
    model.on_epoch_start(data, 1, generator)
    step()
    begin = time.process_time()
    model.on_epoch_start(data, 2, generator)
    step()
    first = time.process_time() - begin
    begin = time.process_time()
    for _ in range(batches):
        step()
    per_step = (time.process_time() - begin) / batches
    begin = time.process_time()
    evaluate(model, model.add_graphs(val))
    evaluation = time.process_time() - begin
    steps = -(-edges.size(1) // 2048)
    return {
        "system": spec,
        "parameters": sum(p.numel() for p in model.parameters()),
        "cpu_seconds_set_up": setup,
        "cpu_seconds_per_epoch": first + (steps - 1) * per_step,
        "cpu_seconds_per_evaluation": evaluation,
        "peak_mib": peak_mib(),
        "libraries_and_data_mib": at_rest,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def main() -> None:
    """One process per system."""
    from mmgraph.models import available_models

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("systems", nargs="*")
    parser.add_argument("--data")
    parser.add_argument("--batches", type=int, default=6)
    parser.add_argument("--json")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        row = measure(args.systems[0], args.data, args.batches)
        print(json.dumps(row))
        return
    heads = ("CPU s/epoch", "CPU s/eval", "peak MiB", "beyond")
    print(f"{'system':24}" + "".join(f"{head:>12}" for head in heads))
    rows = []
    for system in args.systems or [*available_models(), *VARIANTS]:
        command = [sys.executable, __file__, system, "--one"]
        command += ["--batches", str(args.batches)]
        command += ["--data", args.data] if args.data else []
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{system:24}failed: {done.stderr.strip().splitlines()[-1]}")
            continue
        row = json.loads(done.stdout.splitlines()[-1])
        rows.append(row)
        print(
            f"{system:24}{row['cpu_seconds_per_epoch']:12.1f}"
            f"{row['cpu_seconds_per_evaluation']:12.2f}{row['peak_mib']:12.0f}"
            f"{row['peak_mib'] - row['libraries_and_data_mib']:12.0f}"
        )
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
