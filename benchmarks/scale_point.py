"""Cost of a training step of LightGCN, as one of several processes measures it.

``benchmarks scale`` starts it, with the variables that ``torchrun`` sets. The first
process prints a line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch_geometric.data import HeteroData

from mmgraph.bench.memory import peak_memory, reset_peak_memory
from mmgraph.data import from_interactions
from mmgraph.distributed.exchange import words_of_all
from mmgraph.distributed.group import joined_processes
from mmgraph.distributed.world import world
from mmgraph.models import build_model
from mmgraph.train import Trainer
from mmgraph.train.loop import TrainingRun
from mmgraph.train.sharding.column_tables import split_tables

STEPS, WARM_UP, BATCH, LAYERS = 40, 2, 2048, 3


@dataclass(frozen=True)
class Point:
    """What is measured.

    Attributes:
        nodes: Users and items together, three users to an item.
        pairs: Training interactions, drawn uniformly.
        dim: Columns of the embeddings.
        processes: Processes of the training.
        shared: They share the embeddings' columns.
    """

    nodes: int
    pairs: int
    dim: int = 64
    processes: int = 1
    shared: bool = False


class Sent:
    """Bytes that a process hands to torch.distributed, by kind of exchange."""

    def __init__(self) -> None:
        self.bytes = {"all_reduce": 0, "all_gather": 0}

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count them inside."""
        before = {name: getattr(dist, name) for name in self.bytes}

        def counting(name: str) -> Any:
            def call(*args: Any, **options: Any) -> Any:
                tensor = args[0] if name == "all_reduce" else args[1]
                self.bytes[name] += tensor.nbytes
                return before[name](*args, **options)

            return call

        for name in before:
            setattr(dist, name, counting(name))
        try:
            yield
        finally:
            for name, function in before.items():
                setattr(dist, name, function)


CPU = torch.device("cpu")


def random_graph(point: Point) -> HeteroData:
    """Users and items with pairs drawn uniformly."""
    torch.manual_seed(0)
    users = 3 * point.nodes // 4
    items = point.nodes - users
    pairs = torch.randint(users * items, (point.pairs,)).unique()
    user, item = (pairs // items).numpy(), (pairs % items).numpy()
    every = {"users": np.arange(users), "items": np.arange(items)}
    return from_interactions(user, item, **every)


def present_memory() -> int:
    """Resident bytes, from which the peak is counted anew."""
    reset_peak_memory()
    return peak_memory(CPU)


def measure_fit(point: Point) -> dict[str, Any]:
    """Growth of memory over a whole call of the trainer, its start and end included."""
    train = random_graph(point)
    before = present_memory()
    model = build_model("LightGCN", train, embedding_dim=point.dim)
    options = {"batch_size": BATCH, "shard_embeddings": point.shared}
    Trainer(epochs=1, device="cpu", **options).fit(model, train, None)
    return {"memory": peak_memory(CPU) - before}


def measure_steps(point: Point) -> dict[str, Any]:
    """CPU seconds, bytes sent and growth of memory of this process.

    The seconds are those of the cheapest step, as others on the machine only add.
    """
    train = random_graph(point)
    before = present_memory()
    options = {"embedding_dim": point.dim, "num_layers": LAYERS}
    model = build_model("LightGCN", train, **options)
    if point.shared:
        split_tables(model)
    trainer = Trainer(batch_size=BATCH, device="cpu")
    run = TrainingRun(trainer.options_for(model), model, train, CPU)
    run.generator.manual_seed(1)
    model.train()
    model.start_epoch(train, 1, run.generator)
    batches = (batch for batch in run.batches() if len(batch.user) == BATCH)
    sent = Sent()
    for _ in range(WARM_UP):
        run.step(next(batches))
    seconds = []
    with sent.counted():
        for batch in islice(batches, STEPS):
            start = time.process_time()
            run.step(batch)
            seconds.append(time.process_time() - start)
    return {
        "seconds": min(seconds),
        "sent": {name: size / len(seconds) for name, size in sent.bytes.items()},
        "memory": peak_memory(CPU) - before,
    }


def main() -> None:
    """Measure the point of the command line, and print the costliest process."""
    torch.set_num_threads(1)
    point = Point(**json.loads(sys.argv[1]))
    measure = measure_fit if sys.argv[2:] == ["fit"] else measure_steps
    with joined_processes("cpu"):
        found = words_of_all(measure(point))
        if world().is_first:
            numbers = found[0].keys() - {"sent"}
            largest = {name: max(each[name] for each in found) for name in numbers}
            print(json.dumps(asdict(point) | found[0] | largest))


if __name__ == "__main__":
    main()
