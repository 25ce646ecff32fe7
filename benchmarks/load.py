"""CPU seconds and peak memory of reading a data folder, with features and without.

    python -m benchmarks load [--json FILE]

The folder has the size of Amazon Baby: 7,050 items with 4096 and 384 float32 features.
Each case runs in a process of its own; ``copies`` is the peak beyond that of the same
process without features, in units of the features read.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.record import append_record, in_own_process, peak_mib, surroundings

ITEMS, DIMS = 7_050, {"visual": 4096, "textual": 384}
CASES = {"none": [], "textual": ["textual"], "visual": ["visual"], "all": [*DIMS]}


def write_folder(folder: Path) -> None:
    """A catalogue of Baby's size, random."""
    rng = np.random.default_rng(0)
    users, items = rng.integers(19_445, size=160_792), rng.integers(ITEMS, size=160_792)
    items[:ITEMS] = np.arange(ITEMS)
    rows = [f"{u},{i}" for u, i in sorted(set(zip(users, items, strict=True)))]
    (folder / "interactions.csv").write_text("\n".join(["user,item", *rows]) + "\n")
    for name, dim in DIMS.items():
        x = rng.standard_normal((ITEMS, dim), dtype=np.float32)
        np.save(folder / f"{name}.npy", x)


def main() -> None:
    """Every case, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        folder, case = args.one
        print(json.dumps(measure(folder, CASES[case])))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_folder(Path(folder))
        rows = {
            case: in_own_process("benchmarks.load", "--one", folder, case)
            for case in CASES
        }
    print(f"{'features':10}{'CPU s':>8}{'peak MiB':>10}{'copies':>8}")
    for case, row in rows.items():
        size = sum(ITEMS * DIMS[name] * 4 for name in CASES[case]) / 2**20
        beyond = row["peak_mib"] - rows["none"]["peak_mib"]
        row["copies"] = beyond / size if size else None
        copies = "-" if row["copies"] is None else f"{row['copies']:.2f}"
        print(f"{case:10}{row['cpu_seconds']:8.2f}{row['peak_mib']:10.0f}{copies:>8}")
        append_record(args.json, "load", {"features": case, **row})


def measure(folder: str, modalities: list[str]) -> dict[str, object]:
    """One case, in this process."""
    import time

    from mmgraph.data import load_dataset

    begin = time.process_time()
    load_dataset(folder, split="per_user", modalities=modalities)
    seconds = time.process_time() - begin
    return {"cpu_seconds": seconds, "peak_mib": peak_mib(), **surroundings()}


if __name__ == "__main__":
    main()
