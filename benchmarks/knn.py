"""The exact kNN graph beside plain FAISS and a dense product with top-k, in one run.

    OMP_NUM_THREADS=1 python -m benchmarks knn [--size 7050x4096 ...] [--k 10]
    OMP_NUM_THREADS=1 python -m benchmarks knn --insert 20000x384

One thread. Each way gets the same float32 features and has to deliver the k nearest
other rows by cosine: ``faiss`` normalises a copy and searches k + 1 in an
``IndexFlatIP``; ``dense`` normalises, multiplies all pairs and takes the top k + 1
(left out where the matrix would pass 4 GB). Neither treats ties, zero rows, duplicates
or rounding; ``mmgraph`` does. Rounds take the ways in turn; the figures are medians of
process CPU seconds, the ratio is to the faster of the other two. Memory is the peak of
resident memory beyond what was there before the call, result included, of a call in a
process of its own.

``--insert`` compares, on one table, building the graph with inserting its last 1 % of
rows into the graph of the others; both must have one hash.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.record import in_own_process
from mmgraph.knn import insert, knn_graph
from mmgraph.knn.digest import graph_digest

SIZES = ("7050x384", "7050x4096", "23033x384")
DENSE_LIMIT = 4e9  # bytes of scores


def features(size: str) -> Tensor:
    """Rows around some hundred centres, as embeddings of a catalogue are."""
    num_rows, dim = map(int, size.split("x"))
    generator = torch.Generator().manual_seed(0)
    centre = torch.randn(500, dim, generator=generator)
    label = torch.randint(500, (num_rows,), generator=generator)
    noise = torch.randn(num_rows, dim, generator=generator)
    return noise.add_(centre[label])


def with_faiss(x: Tensor, k: int) -> Tensor:
    """Neighbours by FAISS, the first column taken for the row itself."""
    import faiss

    faiss.omp_set_num_threads(1)
    rows = torch.nn.functional.normalize(x).numpy()
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    return torch.from_numpy(index.search(rows, k + 1)[1][:, 1:])


def dense(x: Tensor, k: int) -> Tensor:
    """Neighbours by one product of all pairs."""
    rows = torch.nn.functional.normalize(x)
    return (rows @ rows.T).topk(k + 1).indices[:, 1:]


def ours(x: Tensor, k: int) -> Tensor:
    """Neighbours by the exact builder."""
    return knn_graph(x, k)[0][0].view(-1, k)


WAYS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "mmgraph": ours,
    "faiss": with_faiss,
    "dense": dense,
}


def peak_megabytes(way: str, size: str, k: int) -> float:
    """Peak beyond the features, of one call in a fresh process."""
    words = ["--peak", way, "--size", size, "--k", str(k)]
    return float(in_own_process("benchmarks.knn", *words)["megabytes"])


def measure_peak(way: str, size: str, k: int) -> None:
    """Print the peak of one way in this process."""
    from mmgraph.bench.memory import peak_memory, reset_peak_memory

    x = features(size)
    WAYS[way](x[:300].clone(), k)  # libraries and their workspaces are loaded
    cpu = torch.device("cpu")
    reset_peak_memory()
    before = peak_memory(cpu)
    WAYS[way](x, k)
    print(json.dumps({"megabytes": (peak_memory(cpu) - before) / 1e6}))


def compare(size: str, k: int, rounds: int) -> None:
    """One line per way."""
    x = features(size)
    fits = len(x) ** 2 * 4 < DENSE_LIMIT
    ways = {name: way for name, way in WAYS.items() if fits or name != "dense"}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    found = {}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            found[name] = way(x, k)
            seconds[name].append(time.process_time() - start)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    best = min(value for name, value in median.items() if name != "mmgraph")
    for name in ways:
        same = (found[name] == found["mmgraph"]).float().mean()
        print(
            f"{size:>12}  {name:<8} {median[name]:8.3f} s  {median[name] / best:5.2f}  "
            f"{peak_megabytes(name, size, k):7.0f} MB  {same:8.4%} as mmgraph",
            flush=True,
        )


def insertion(size: str, k: int, rounds: int) -> None:
    """Cost of the last 1 % of rows, as a share of a build."""
    x = features(size)
    num_new = len(x) // 100
    old = knn_graph(x[:-num_new], k)
    seconds: dict[str, list[float]] = {"build": [], "insert": []}
    for _ in range(rounds):
        start = time.process_time()
        built = knn_graph(x, k)
        seconds["build"].append(time.process_time() - start)
        start = time.process_time()
        grown = insert(*old, x, k, num_new=num_new)
        seconds["insert"].append(time.process_time() - start)
    build, added = (statistics.median(values) for values in seconds.values())
    same = graph_digest(*built) == graph_digest(*grown)
    print(
        f"{size}: build {build:.3f} s, insert {num_new} rows {added:.3f} s "
        f"({added / build:.1%}), {'the same' if same else 'ANOTHER'} hash"
    )


def main() -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", nargs="+", default=SIZES, metavar="NxD")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--insert", metavar="NxD", help="measure an insert instead")
    parser.add_argument("--peak", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.insert:
        insertion(arguments.insert, arguments.k, arguments.rounds)
        return
    if arguments.peak:
        measure_peak(arguments.peak, arguments.size[0], arguments.k)
        return
    print(f"CPU seconds, median of {arguments.rounds}; ratio to the faster other way")
    for size in arguments.size:
        compare(size, arguments.k, arguments.rounds)


if __name__ == "__main__":
    main()
