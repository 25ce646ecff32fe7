"""Blocks on disk and certified approximate search beside the exact graph in memory.

CPU seconds of one run, one thread; the ratio is to the graph in memory. Example:
python -m benchmarks knn-blocks --rows 30000 --dim 128
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from mmgraph.knn import approximate_knn_graph, build_blocks, knn_graph, merge_shards
from mmgraph.knn.digest import graph_digest


def clustered(num_rows: int, dim: int) -> torch.Tensor:
    """Rows around 500 centres in 32 hidden dimensions, with noise."""
    generator = torch.Generator().manual_seed(0)
    centre = torch.randn(500, 32, generator=generator)
    hidden = centre[torch.randint(500, (num_rows,), generator=generator)]
    hidden = hidden + 0.5 * torch.randn(num_rows, 32, generator=generator)
    x = hidden @ torch.randn(32, dim, generator=generator)
    return x + 0.3 * torch.randn(num_rows, dim, generator=generator)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--ram", default="500MB")
    options = parser.parse_args()
    torch.set_num_threads(1)
    x = clustered(options.rows, options.dim)

    start = time.process_time()
    edge_index, similarity = knn_graph(x, 10)
    base = time.process_time() - start
    digest = graph_digest(edge_index, similarity)
    print(f"{options.rows} x {options.dim}, k = 10")
    print(f"in memory                 {base:8.1f} s   1.00")

    with tempfile.TemporaryDirectory() as place:
        np.save(Path(place) / "x.npy", x.numpy())
        for backend in ("torch", "faiss"):
            start = time.process_time()
            work = build_blocks(
                Path(place) / "x.npy",
                10,
                Path(place) / backend,
                ram=options.ram,
                backend=backend,
            )
            merged = merge_shards([work.path], Path(place) / f"{backend}-graph")
            seconds = time.process_time() - start
            same = merged["graph_sha256"] == digest
            print(
                f"blocks, {backend:5}, {options.ram:6}  {seconds:12.1f} s "
                f"{seconds / base:6.2f}   same hash: {same}, {work.num_blocks} blocks"
            )

    for recall in (0.9, 0.99):
        start = time.process_time()
        graph = approximate_knn_graph(x, 10, recall=recall)
        seconds = time.process_time() - start
        true = torch.isin(
            edge_index[0] * options.rows + edge_index[1],
            graph.edge_index[0] * options.rows + graph.edge_index[1],
        )
        bound = graph.certificate.lower_99 if graph.certificate else float("nan")
        print(
            f"approximate, recall {recall:4}  {seconds:8.1f} s {seconds / base:6.2f}   "
            f"true {true.double().mean():.4f}, surely {bound:.4f}, exact: "
            f"{graph.exact}, {graph.probe} of {graph.num_cells} cells"
        )


if __name__ == "__main__":
    main()
