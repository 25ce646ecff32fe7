"""CPU seconds and peak memory of reading, splitting, ranking as a catalogue grows.

    python -m benchmarks growth [--sizes 0.25 0.5 1 2 4] [--json FILE]
    python -m benchmarks growth --sizes --million [--folder DIR]

A catalogue of N interactions (--sizes in millions) has N / 10 users and N / 10 items
with string ids and 2 x 64 features, all random, around 500 centres. Each size runs in a
process of its own, one thread, and does each step once: CPU time of the process, and
its resident peak during the step, libraries and what earlier steps left included.
Ranking is of 1,000 users (--ranked) whatever the size, so that it grows with the items.
The exponent of a step is the slope of a line through the logarithms of size and time: 1
is linear.

--million: 1M users, 1M items and 10M interactions; LightGCN and FREEDOM, a process
each: folder to splits, graphs, an epoch of ``batch_size="auto"`` (--steps N: its start
and N of its 64 steps), evaluation of 10,000 users, and for LightGCN recommendations for
100,000 users (--recommended), written as CSV. --folder keeps the catalogue there, or
takes the one that is there.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from benchmarks.record import in_own_process
from mmgraph.data.ids import distinct

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

    from mmgraph.train.loop import TrainingRun

MODALITIES, DIM = ("visual", "textual"), 64
Figures = dict[str, dict[str, float]]


def write_folder(folder: Path, users: int, items: int, pairs: int) -> None:
    """A data folder, and the same table as CSV beside it."""
    rng = np.random.default_rng(0)
    keys = rng.integers(users, size=pairs + pairs // 20) * items
    keys += (items * rng.random(len(keys)) ** 2).astype(np.int64)
    keys = rng.permutation(distinct(keys))[:pairs]
    label = np.array(["train", "valid", "test"])[
        rng.choice(3, len(keys), p=[0.8, 0.1, 0.1])
    ]
    table = pa.table(
        {
            "user": ids("u", keys // items),
            "item": ids("i", keys % items),
            "split": label,
        }
    )
    (folder / "data").mkdir(parents=True)
    pq.write_table(table, folder / "data" / "interactions.parquet")
    pacsv.write_csv(table, folder / "interactions.csv")
    known = ids("i", np.arange(items)).to_numpy(zero_copy_only=False).astype(str)
    for name in MODALITIES:
        centre = rng.standard_normal((500, DIM), dtype=np.float32)
        x = 0.5 * rng.standard_normal((items, DIM), dtype=np.float32)
        x += centre[rng.integers(500, size=items)]
        np.savez(folder / "data" / f"{name}.npz", features=x, ids=known)


def ids(prefix: str, numbers: np.ndarray) -> pa.Array:
    """Ids as shops have them: a letter and a number."""
    return pc.binary_join_element_wise(
        prefix, pc.cast(pa.array(numbers), pa.string()), ""
    )


@contextmanager
def measured(figures: Figures, step: str) -> Iterator[None]:
    """Note CPU seconds and resident peak of the block."""
    import torch

    from mmgraph.bench.memory import peak_memory, reset_peak_memory

    reset_peak_memory()
    start = time.process_time()
    yield
    seconds = time.process_time() - start
    peak = peak_memory(torch.device("cpu")) / 2**20
    figures[step] = {"seconds": seconds, "peak_mib": peak}
    print(f"  {step:12} {seconds:8.2f} s {peak:8.0f} MiB", file=sys.stderr, flush=True)


def measure(folder: Path, ranked: int) -> Figures:
    """All steps on one folder."""
    import torch

    from mmgraph.data import (
        from_interactions,
        load_dataset,
        read_features,
        read_interactions,
        split_dataset,
    )
    from mmgraph.models import build_model
    from mmgraph.schema import USER
    from mmgraph.train.evaluation import evaluate
    from mmgraph.train.recommendations import recommend_table

    torch.set_num_threads(1)
    figures: Figures = {}
    with measured(figures, "libraries"):
        pass
    with measured(figures, "read csv"):
        table = read_interactions(folder / "interactions.csv")
    with measured(figures, "read parquet"):
        table = read_interactions(folder / "data" / "interactions.parquet")
    files = {name: folder / "data" / f"{name}.npz" for name in MODALITIES}
    read = {name: read_features(path) for name, path in files.items()}
    with measured(figures, "graph"):
        data = from_interactions(
            table.user,
            table.item,
            features={name: x for name, (x, _) in read.items()},
            feature_ids={name: own for name, (_, own) in read.items()},
        )
    del table, read
    with measured(figures, "split"):
        split_dataset(data, "per_user")
    del data
    with measured(figures, "load"):
        train, valid, _ = load_dataset(folder / "data")
    _keep_users(valid, ranked)
    torch.manual_seed(0)
    model = build_model("MF-BPR", train)
    with measured(figures, "evaluate"):
        evaluate(model, valid)
    with measured(figures, "evaluate 2nd"):
        evaluate(model, valid)
    with measured(figures, "recommend"):
        recommend_table(model, train, train[USER].raw_id[:ranked].tolist())
    return figures


def _keep_users(valid: HeteroData, count: int) -> None:
    """Leave the positives of so many users."""
    import torch

    from mmgraph.schema import INTERACTS

    user, item = valid[INTERACTS].edge_label_index
    few = user < torch.unique(user)[count]
    valid[INTERACTS].edge_label_index = torch.stack([user[few], item[few]])


def _measure_steps(run: TrainingRun, steps: int, figures: Figures) -> None:
    """The start of an epoch, and the steps that come first."""
    with measured(figures, "epoch's start"):
        run.generator.manual_seed(1)
        run.model.train()
        run.model.start_epoch(run.train, 1, run.generator)
        batches = run.batches()
        run.step(next(batches))
    with measured(figures, f"{steps} steps"):
        for batch in islice(batches, steps):
            run.step(batch)


def measure_system(
    folder: Path, name: str, steps: int | None, recommended: int
) -> Figures:
    """Training, evaluation and recommendation of one system at a million items."""
    import torch

    from mmgraph.data import load_dataset
    from mmgraph.models import build_model
    from mmgraph.models.registry import resolve_model
    from mmgraph.schema import INTERACTS, USER
    from mmgraph.train import Trainer, evaluate
    from mmgraph.train.loop import TrainingRun
    from mmgraph.train.recommendations import recommend_blocks, write_table

    torch.set_num_threads(1)
    torch.manual_seed(0)
    figures: Figures = {}
    reads_features = resolve_model(name)[1].reads_features
    with measured(figures, "read + split"):
        splits = load_dataset(
            folder / "data", split="per_user", features=reads_features
        )
    train, valid, _ = splits
    _keep_users(valid, 10_000)
    model = build_model(name, train)
    with measured(figures, "item graphs"):
        train, valid = model.add_graphs(train), model.add_graphs(valid)
    trainer = Trainer(batch_size="auto", device="cpu")
    options = trainer.options_for(model, train[INTERACTS].edge_index.size(1))
    run = TrainingRun(options, model, train, torch.device("cpu"))
    if steps is None:
        with measured(figures, "epoch"):
            run.train_epoch(1)
    else:
        _measure_steps(run, steps, figures)
    del run
    with measured(figures, "evaluation"):
        evaluate(model, valid)
    if name == "LightGCN":
        users = train[USER].raw_id[:recommended]
        with measured(figures, "recommend"):
            write_table(recommend_blocks(model, train, users), folder / "top.csv")
    return figures


def run(users: int, items: int, pairs: int, ranked: int) -> Figures:
    """The figures of one size, from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write_folder(Path(folder), users, items, pairs)
        return _in_process("--measure", folder, "--ranked", str(ranked))


def run_million(folder: Path, words: list[str]) -> dict[str, Figures]:
    """The figures of each system at a million users and items."""
    if not (folder / "data").exists():
        write_folder(folder, 10**6, 10**6, 10**7)
    results = {}
    for name in ("LightGCN", "FREEDOM"):
        print(name, file=sys.stderr)
        results[name] = _in_process("--measure", str(folder), "--system", name, *words)
    return results


def _in_process(*words: str) -> Figures:
    return in_own_process("benchmarks.growth", *words)


def exponent(sizes: list[float], seconds: list[float]) -> float:
    """Slope of the line through the logarithms, least squares."""
    if len(sizes) < 2:
        return math.nan
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def main() -> None:
    """Run every size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=float, nargs="*", default=[0.25, 0.5, 1, 2, 4])
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--recommended", type=int, default=100_000)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--system", help=argparse.SUPPRESS)
    parser.add_argument("--ranked", type=int, default=1000)
    args = parser.parse_args()
    if args.measure is not None:
        from mmgraph.allocator import keep_freed_memory

        keep_freed_memory()  # as the commands do
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        if args.system is None:
            print(json.dumps(measure(args.measure, args.ranked)))
        else:
            system = args.system, args.steps, args.recommended
            print(json.dumps(measure_system(args.measure, *system)))
        return
    results: dict[str, Figures] = {}
    for size in args.sizes:
        print(f"{size}M interactions", file=sys.stderr)
        pairs = round(size * 1e6)
        results[str(size)] = run(pairs // 10, pairs // 10, pairs, args.ranked)
    print(f"{'step':14}" + "".join(f"{size:>16}M" for size in results) + "  exponent")
    for step in next(iter(results.values()), {}):
        cells = [figures[step] for figures in results.values()]
        slope = exponent(args.sizes, [max(c["seconds"], 1e-3) for c in cells])
        row = [f"{c['seconds']:8.2f}s{c['peak_mib']:5.0f}MiB" for c in cells]
        print(f"{step:14}" + "".join(f"{cell:>17}" for cell in row) + f"{slope:9.2f}")
    if args.million:
        print("1M users, 1M items, 10M interactions", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            words = ["--recommended", str(args.recommended)]
            words += [] if args.steps is None else ["--steps", str(args.steps)]
            results |= run_million(args.folder or Path(folder), words)
    if args.json is not None:
        args.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
