"""The kinds of operations that the CPU time of a training step goes into.

    python -m benchmarks profile SYSTEM ... [--data DIR] [--size baby] [--steps 4]

Milliseconds of one step of each system, on the data of the suite ``epoch``: in sparse
products (propagation), dense products, look-ups of rows and their gradients, the
optimizer, and all other operations. Of the first two any code has to do as many. The
CPU time is that of steps without the profiler, the shares are those under it, where
small operations count somewhat too much.
"""

from __future__ import annotations

import argparse
from collections import Counter
from itertools import islice

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.epoch import SIZES, catalogue, prepare
from benchmarks.record import surroundings
from benchmarks.roofline import now

#: Kinds of operations by a part of their names; the first that fits.
KINDS = {
    "sparse": ("embedding_bag", "sparse", "_SpMM"),
    "dense": ("mm", "linear", "dot", "addmv"),
    "rows": ("embedding", "index", "gather", "scatter"),
    "optimizer": ("adam", "Optimizer"),
    "other": ("",),
}


def kind_of(name: str) -> str:
    """The kind of an operation.

    Example:
        >>> kind_of("aten::_embedding_bag"), kind_of("aten::addmm")
        ('sparse', 'dense')
    """
    return next(kind for kind, parts in KINDS.items() if any(p in name for p in parts))


def measure(system: str, data: str | None, size: str, steps: int) -> dict[str, float]:
    """Milliseconds per step by kind."""
    run, start = prepare(system, catalogue(data, size)[0], "cpu")
    batches = start(1)
    run.step(next(batches))
    begin = now("cpu")
    for batch in islice(batches, steps):
        run.step(batch)
    per_step = 1e3 * (now("cpu") - begin) / steps
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        for batch in islice(batches, steps):
            run.step(batch)
    spent: Counter[str] = Counter()
    for event in profiled.key_averages():
        spent[kind_of(event.key)] += event.self_cpu_time_total
    return {kind: per_step * spent[kind] / spent.total() for kind in KINDS}


def main() -> None:
    """Each system in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("systems", nargs="+")
    parser.add_argument("--data")
    parser.add_argument("--size", choices=SIZES, default="baby")
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    print(surroundings("cpu"))
    print(
        f"{'ms per step':28}" + "".join(f"{kind:>11}" for kind in KINDS) + "        all"
    )
    for system in args.systems:
        torch.manual_seed(0)
        spent = measure(system, args.data, args.size, args.steps)
        cells = "".join(f"{ms:11.1f}" for ms in (*spent.values(), sum(spent.values())))
        print(f"{system:28}{cells}", flush=True)


if __name__ == "__main__":
    main()
