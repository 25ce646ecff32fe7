"""What an exact kNN graph costs by its rows: measured, fitted, extended.

    OMP_NUM_THREADS=1 python -m benchmarks scale-knn

CPU seconds of the cheapest of three builds of random rows, one thread, fitted by the
products of all pairs of rows and by the rows, and compared with sizes that the fit has
not seen. What a hundred million rows would take is computed: on a CPU by the fitted
rates, on GPUs by the vendor's sheet.
"""

from __future__ import annotations

import argparse
import time

import torch

from benchmarks.scale import fit, predicted
from mmgraph.knn import knn_graph

DIM, K = 768, 10
FITTED, HELD_OUT = (4_000, 8_000, 12_000), (6_000, 16_000)
#: H100 SXM: float32 without tensor cores; and what PCIe 5 brings from the host.
FLOPS, HOST_RATE = 67e12, 64e9
ROWS, GPU_ROWS = 100e6, 10e6


def measure(rows: int) -> float:
    """CPU seconds of the cheapest of three builds."""
    x = torch.randn(rows, DIM, generator=torch.Generator().manual_seed(0))
    seconds = []
    for _ in range(3):
        start = time.process_time()
        knn_graph(x, K, backend="torch")
        seconds.append(time.process_time() - start)
    return min(seconds)


def terms(rows: float) -> dict[str, float]:
    """Multiplications of all pairs of rows, and what is done once a row."""
    return {"products": rows**2 * DIM, "rows": rows * DIM}


def main() -> None:
    """Measure, fit, compare, extend."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    found = {rows: measure(rows) for rows in (*FITTED, *HELD_OUT)}
    rates = fit([terms(rows) for rows in FITTED], [found[rows] for rows in FITTED])
    for rows, seconds in found.items():
        error = predicted(terms(rows), rates) / seconds - 1
        seen = "" if rows in FITTED else "held out, "
        print(f"{rows:>6} rows: {seconds:6.2f} CPU s, {seen}predicted {error:+.0%}")
    one_core = predicted(terms(ROWS), rates)
    flops, size = 2 * terms(ROWS)["products"], 4 * terms(ROWS)["rows"]
    print(
        f"{ROWS:.0e} rows, {size / 1e9:.0f} GB: one core {one_core / 3.15e7:.1f} years"
    )
    for count in (1, 8, 64):
        seconds = flops / FLOPS / count
        passes = ROWS / GPU_ROWS / count * size / HOST_RATE
        print(
            f"{count:>3} GPUs: {seconds / 3600:.1f} h of products, "
            f"{passes / 60:.1f} minutes of reading, at least"
        )


if __name__ == "__main__":
    main()
