"""Cost of a training epoch and of an evaluation of each system, and peak memory.

    python -m benchmarks epoch [SYSTEM ...] [--data DIR] [--batches 6] [--repeats 3]
        [--size baby] [--peer FOLDER] [--device cpu] [--json FILE]

Features are synthetic, random numbers of the papers' widths (4096 visual, 384 textual);
the graph is that of --data (in MMRec's layout), or random of --size.
Each system runs in a process of its own, in both fidelities: one warm-up batch, then an
epoch whose start (learned and dropped graphs, shuffling, negatives) and first batches
are timed; the mean of the latter stands for the rest of the epoch. CPU seconds of all
threads, so that a busy machine does not count; on a GPU seconds. The peak is the
resident set of the process.

--peer names a checkout of MMRec, whose systems then run on the same data and in turn
with ours, --repeats times each; figures are medians. Its work is that of our fidelity
"released": the ratio is between these two. ``floor`` is the least that the operations
of a released epoch could take at this machine's rates, see benchmarks/roofline.py.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch_geometric.data import HeteroData

from benchmarks.peer import OPTIONS as PEERS
from benchmarks.peer import write_data
from benchmarks.record import append_record, in_own_process, peak_mib, surroundings
from benchmarks.roofline import (
    Roofline,
    function_seconds,
    memory_bandwidth,
    now,
    product_seconds,
)

DIMS = {"visual": 4096, "textual": 384}
#: Users, items and interactions: the papers' data, after a size to try things with.
SIZES = {
    "tiny": (1_000, 300, 12_000),
    "baby": (19_445, 7_050, 160_792),
    "sports": (35_598, 18_357, 296_337),
    "clothing": (39_387, 23_033, 278_677),
}


def catalogue(folder: str | None, size: str = "baby"):  # type: ignore[no-untyped-def]
    """Training data and one held-out split, with synthetic features."""
    from mmgraph.data import from_interactions, load_dataset, split_per_user
    from mmgraph.schema import feature_key

    if folder is not None:
        train, val, _ = load_dataset(folder, modalities=[])
        for name, x in features(train["item"].num_nodes).items():
            train["item"][feature_key(name)] = torch.from_numpy(x)
            val["item"][feature_key(name)] = train["item"][feature_key(name)]
        return train, val
    rng = np.random.default_rng(0)
    users, items, number = SIZES[size]
    item = (items * rng.random(number) ** 3).astype(int)
    pairs = np.unique(np.stack([rng.integers(users, size=number), item]), axis=1)
    data = from_interactions(
        pairs[0],
        pairs[1],
        features=features(items),
        users=np.arange(users),
        items=np.arange(items),
    )
    train, val, _ = split_per_user(data)
    return train, val


def features(items: int) -> dict[str, np.ndarray[Any, Any]]:
    """Synthetic features of the papers' widths, always the same."""
    rng = np.random.default_rng(0)
    return {
        name: rng.standard_normal((items, dim), dtype=np.float32)
        for name, dim in DIMS.items()
    }


def prepare(system: str, train: HeteroData, device: str):  # type: ignore[no-untyped-def]
    """A system before its first step.

    Returns:
        Its run, and ``start(epoch)``, which starts an epoch and returns its batches.
    """
    from mmgraph.bench import parse_spec
    from mmgraph.models import build_model
    from mmgraph.train import Trainer
    from mmgraph.train.loop import TrainingRun

    spec = parse_spec(system)
    torch.manual_seed(0)
    model = build_model(
        spec.model, train, plugin=spec.plugin, fidelity=spec.fidelity, **spec.options
    ).to(device)
    train = model.add_graphs(train.to(device))
    options = Trainer(device=device).options_for(model)
    run = TrainingRun(options, model, train, torch.device(device))
    model.train()

    def start(epoch: int):  # type: ignore[no-untyped-def]
        run.generator.manual_seed(epoch)
        model.start_epoch(run.train, epoch, run.generator)
        return run.batches()

    return run, start


def measure(
    system: str, train: HeteroData, val: HeteroData, batches: int, device: str
) -> dict[str, Any]:
    """The figures of one system, in this process."""
    from mmgraph.train import evaluate

    at_rest = peak_mib()
    begin = now(device)
    run, start = prepare(system, train, device)
    model = run.model
    val = model.add_graphs(val.to(device))
    set_up = now(device) - begin
    run.step(next(start(1)))
    begin = now(device)
    rest = start(2)
    run.step(next(rest))
    first = now(device) - begin
    begin = now(device)
    for batch in islice(rest, batches):
        run.step(batch)
    per_step = (now(device) - begin) / batches
    steps = -(-train["user", "interacts", "item"].num_edges // run.options.batch_size)
    product = partial(product_seconds, device=device)
    function = partial(function_seconds, device=device)
    with Roofline(product, function, memory_bandwidth(device)) as roofline:
        run.step(next(rest))
    begin = now(device)
    evaluate(model, val)
    return {
        "epoch": first + (steps - 1) * per_step,
        "floor": steps * roofline.seconds,
        "evaluation": now(device) - begin,
        "set_up": set_up,
        "peak_mib": peak_mib(),
        "libraries_and_data_mib": at_rest,
        "parameters": sum(p.numel() for p in model.parameters()),
        **surroundings(device),
    }


def main() -> None:
    """Every system in turn, each in a process of its own."""
    from mmgraph.models import available_models

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("systems", nargs="*")
    parser.add_argument("--data")
    parser.add_argument("--size", choices=SIZES, default="baby")
    parser.add_argument("--batches", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        from mmgraph.allocator import keep_freed_memory

        keep_freed_memory()  # as the commands do
        train, val = catalogue(args.data, args.size)
        row = measure(args.one, train, val, args.batches, args.device)
        print(json.dumps(row))
        return
    heads = ("paper", "released", "floor", "MMRec", "ratio", "eval", "MMRec", "ratio")
    print(f"{'':12}" + "".join(f"{head:>9}" for head in heads) + "  peak MiB   MMRec")
    with tempfile.TemporaryDirectory() as folder:
        if args.peer:
            write_data(Path(folder), Path(args.data), features)
        for system in args.systems or available_models():
            rows = repeat(system, args, folder)
            for kind, row in rows.items():
                append_record(args.json, "epoch", {"system": system, "of": kind, **row})
            print(line(system, rows), flush=True)


def repeat(
    system: str, args: argparse.Namespace, folder: str
) -> dict[str, dict[str, Any]]:
    """Medians of our fidelities and the peer, taken in turn."""
    from mmgraph.bench import parse_spec
    from mmgraph.models.registry import resolve_model

    spec = parse_spec(system)
    one = [
        "--size",
        args.size,
        "--batches",
        str(args.batches),
        "--device",
        args.device,
        "--one",
    ]
    one = (["--data", args.data] if args.data else []) + one
    commands = {
        fidelity: ("benchmarks.epoch", *one, str(replace(spec, fidelity=fidelity)))
        for fidelity in resolve_model(spec.model)[1].fidelities
    }
    if args.peer and system in PEERS:
        commands["peer"] = (
            *("benchmarks.peer", args.peer, folder, system, str(args.batches)),
        )
    taken: dict[str, list[dict[str, Any]]] = {kind: [] for kind in commands}
    for _ in range(args.repeats):
        for kind, command in commands.items():
            try:
                taken[kind].append(in_own_process(*command))
            except RuntimeError as error:
                print(f"{system} ({kind}): {error}", file=sys.stderr)
    return {kind: medians(rows) for kind, rows in taken.items() if rows}


def medians(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of every number of several equal rows."""
    return {
        key: statistics.median(row[key] for row in rows)
        if isinstance(value, (int, float))
        else value
        for key, value in rows[-1].items()
    }


def line(system: str, rows: dict[str, dict[str, Any]]) -> str:
    """One row of the table; a dash where there is nothing."""
    none: dict[str, Any] = {}
    paper, released, peer = (rows.get(k, none) for k in ("paper", "released", "peer"))
    ours = released or paper  # some have one form alone

    def ratio(key: str) -> float | None:
        return peer[key] / ours[key] if peer and ours else None

    cells = [paper.get("epoch"), released.get("epoch"), ours.get("floor")]
    cells += [peer.get("epoch"), ratio("epoch"), ours.get("evaluation")]
    cells += [peer.get("evaluation"), ratio("evaluation")]
    text = f"{system:12}" + "".join(
        f"{'-' if c is None else f'{c:.2f}':>9}" for c in cells
    )
    peaks = (ours.get("peak_mib"), peer.get("peak_mib"))
    return text + "".join(f"{'-' if c is None else f'{c:.0f}':>9}" for c in peaks)


if __name__ == "__main__":
    main()
