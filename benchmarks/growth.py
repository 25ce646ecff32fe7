"""CPU seconds and peak memory of reading, splitting, ranking as a catalogue grows.

    python -m benchmarks growth [--sizes 0.25 0.5 1 2 4] [--million] [--json FILE]

A catalogue of N interactions (--sizes in millions) has N / 10 users and N / 10 items
with string ids and 2 x 64 features, all random. Each size runs in a process of its own,
one thread, and does each step once: CPU time of the process, and its resident peak
during the step, libraries and what earlier steps left included. Ranking is of 1,000
users (--ranked) whatever the size, so that it grows with the items. The exponent of a
step is the slope of a line through the logarithms of size and time: 1 is linear.

--million: 1M users, 1M items and 10M interactions, and 10,000 users ranked.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from mmgraph.data.ids import distinct

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
    (folder / "data").mkdir()
    pq.write_table(table, folder / "data" / "interactions.parquet")
    pacsv.write_csv(table, folder / "interactions.csv")
    known = ids("i", np.arange(items)).to_numpy(zero_copy_only=False).astype(str)
    for name in MODALITIES:
        x = rng.standard_normal((items, DIM), dtype=np.float32)
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
    from mmgraph.schema import INTERACTS, USER
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
    user, item = valid[INTERACTS].edge_label_index
    few = user < torch.unique(user)[ranked]
    valid[INTERACTS].edge_label_index = torch.stack([user[few], item[few]])
    torch.manual_seed(0)
    model = build_model("MF-BPR", train)
    with measured(figures, "evaluate"):
        evaluate(model, valid)
    with measured(figures, "evaluate 2nd"):
        evaluate(model, valid)
    with measured(figures, "recommend"):
        recommend_table(model, train, train[USER].raw_id[:ranked].tolist())
    return figures


def run(users: int, items: int, pairs: int, ranked: int) -> Figures:
    """The figures of one size, from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write_folder(Path(folder), users, items, pairs)
        command = [
            sys.executable,
            __file__,
            "--folder",
            folder,
            "--ranked",
            str(ranked),
        ]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    figures: Figures = json.loads(done.stdout)
    return figures


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
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--ranked", type=int, default=1000)
    args = parser.parse_args()
    if args.folder is not None:
        print(json.dumps(measure(args.folder, args.ranked)))
        return
    results: dict[float, Figures] = {}
    for size in args.sizes:
        print(f"{size}M interactions", file=sys.stderr)
        pairs = round(size * 1e6)
        results[size] = run(pairs // 10, pairs // 10, pairs, args.ranked)
    print(f"{'step':14}" + "".join(f"{size:>16}M" for size in results) + "  exponent")
    for step in next(iter(results.values()), {}):
        cells = [results[size][step] for size in results]
        slope = exponent(list(results), [max(c["seconds"], 1e-3) for c in cells])
        row = [f"{c['seconds']:8.2f}s{c['peak_mib']:5.0f}MiB" for c in cells]
        print(f"{step:14}" + "".join(f"{cell:>17}" for cell in row) + f"{slope:9.2f}")
    if args.million:
        print("1M users, 1M items, 10M interactions", file=sys.stderr)
        results[10] = run(10**6, 10**6, 10**7, 10_000)
        for step, cell in results[10].items():
            print(f"{step:14}{cell['seconds']:8.2f}s{cell['peak_mib']:7.0f}MiB")
    if args.json is not None:
        args.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
