"""Train systems for a few steps and write what came out, as one of several processes.

``python every_system.py OUT EPOCHS SYSTEM ...``, with the variables of torchrun.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from mmgraph.bench.config import run_config
from mmgraph.bench.spec import parse_spec
from mmgraph.bench.experiment import build_run
from mmgraph.data import synthetic
from mmgraph.distributed.group import joined_processes
from mmgraph.distributed.world import world

#: Small and quick; a last batch that is no multiple of the processes.
OPTIONS = {
    "club_inner_steps": 3,
    "pretrain_epochs": 2,
    "batch_size": 150,
    "eval_every": 1,
    "patience": 1000,
}


def train_all(specs: list[str], epochs: int) -> dict[str, list[dict[str, float]]]:
    """History of each system."""
    *splits, _ = synthetic(num_users=60, num_items=50, interactions_per_user=12)
    histories = {}
    for spec in specs:
        run = run_config(parse_spec(spec), OPTIONS | {"epochs": epochs})
        untrained = build_run(run, tuple(splits), seed=5, device="cpu")
        train, valid, _ = untrained.splits
        history = untrained.trainer.fit(untrained.model, train, valid)
        histories[spec] = [
            {k: v for k, v in row.items() if "seconds" not in k} for row in history.rows
        ]
    return histories


if __name__ == "__main__":
    out, epochs, *specs = sys.argv[1:]
    torch.set_num_threads(1)
    with joined_processes("cpu"):
        found = train_all(specs, int(epochs))
        if world().is_first:
            Path(out).write_text(json.dumps(found))
