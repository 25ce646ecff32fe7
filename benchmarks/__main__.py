"""The one entry to all measurements: ``python -m benchmarks SUITE [options]``."""

from __future__ import annotations

import importlib
import os
import sys

SUITES = {
    "epoch": "training epoch and evaluation of each system, beside its floor and MMRec",
    "profile": "where the time of a training step goes",
    "propagation": "one symmetric propagation, every known way",
    "load": "reading a data folder, with and without features",
    "start-up": "imports and commands that do nothing",
    "growth": "large catalogues: how cost grows with the interactions",
    "knn": "exact kNN graphs beside FAISS and a dense product",
    "knn-blocks": "kNN graphs on disk and certified approximate search",
    "knn-shard": "kNN of a matrix far larger than memory",
    "scale": "steps in several processes, fitted, and what large catalogues would cost",
    "scale-knn": "exact kNN graphs by their rows, fitted and extended",
    "block-grid": "a simulation of slow and lost machines at a grid of kNN blocks",
    "serving": "requests per second of a served catalogue, on loopback",
    "updating": "a catalogue that has grown: updated, trained again, floors",
    "gpu": "what a GPU has to show, in eight minutes",
    "endurance": "memory and open files over many epochs",
    "malformed": "random damage in the place of every input",
    "mutation": "small changes of the code that a test notices",
    "same-numbers": "hashes of results, to compare two commits",
}


def main() -> None:
    """Run one suite with the words after its name."""
    words = sys.argv[1:]
    if not words or words[0] not in SUITES:
        print(__doc__)
        for name, what in SUITES.items():
            print(f"  {name:14}{what}")
        sys.exit(0 if words in ([], ["--help"], ["-h"]) else 2)
    # Read when torch loads: threads without work then sleep instead of spinning.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from mmgraph.allocator import use_large_pages

    use_large_pages()
    name, sys.argv = words[0], [f"benchmarks {words[0]}", *words[1:]]
    sys.exit(importlib.import_module(f"benchmarks.{name.replace('-', '_')}").main())


if __name__ == "__main__":
    main()
