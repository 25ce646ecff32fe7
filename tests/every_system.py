"""Train systems for a few steps, in one process or in several."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from mmgraph.bench.config import run_config
from mmgraph.bench.experiment import build_run
from mmgraph.bench.spec import parse_spec
from mmgraph.data import synthetic
from mmgraph.distributed.group import joined_processes
from mmgraph.distributed.world import world

#: The last of an epoch's batches is no multiple of the processes.
OPTIONS = {
    "club_inner_steps": 3,
    "pretrain_epochs": 2,
    "batch_size": 150,
    "patience": 1000,
}


def train_all(specs, epochs):
    """Losses, metrics and measures of each system, epoch by epoch."""
    *splits, _ = synthetic(num_users=60, num_items=50, interactions_per_user=12)
    return {spec: _train(spec, splits, epochs) for spec in specs}


def _train(spec, splits, epochs):
    run = run_config(parse_spec(spec), OPTIONS | {"epochs": epochs})
    untrained = build_run(run, tuple(splits), seed=5, device="cpu")
    train, valid, _ = untrained.splits
    history = untrained.trainer.fit(untrained.model, train, valid)
    return [
        {
            key: value
            for key, value in row.items()
            if key.startswith(("epoch", "loss/", "valid/"))
        }
        for row in history.rows
    ]


def train_and_write(out, specs, epochs):
    """As one of the processes that the environment speaks of."""
    torch.set_num_threads(1)
    with joined_processes("cpu"):
        found = train_all(specs, epochs)
        if world().is_first:
            Path(out).write_text(json.dumps(found))
