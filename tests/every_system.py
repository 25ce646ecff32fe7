"""Train and evaluate systems for a moment, in one process or in several."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from mmgraph.bench.config import run_config
from mmgraph.bench.experiment import build_run
from mmgraph.bench.spec import parse_spec
from mmgraph.data import synthetic
from mmgraph.distributed.group import joined_processes
from mmgraph.distributed.world import world
from mmgraph.functional.block_sizes import BlockSize
from mmgraph.models import build_model
from mmgraph.train import evaluate, evaluation

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
    return _comparable(history)


def _comparable(history):
    kept = ("epoch", "loss/", "valid/")
    return [
        {key: value for key, value in row.items() if key.startswith(kept)}
        for row in history.rows
    ]


def train_and_write(out, specs, epochs):
    """As one of the processes that the environment speaks of."""
    torch.set_num_threads(1)
    with joined_processes("cpu"):
        found = train_all(specs, epochs)
        if world().is_first:
            Path(out).write_text(json.dumps(found))


def train_and_keep(folder, spec, epochs):
    """Train, going on from a checkpoint that is there; leave each process's model."""
    with joined_processes("cpu"):
        *splits, _ = synthetic(num_users=60, num_items=50, interactions_per_user=12)
        run = run_config(parse_spec(spec), OPTIONS | {"epochs": epochs})
        untrained = build_run(run, tuple(splits), seed=5, device="cpu")
        train, valid, _ = untrained.splits
        history = untrained.trainer.fit(
            untrained.model,
            train,
            valid,
            checkpoint_dir=Path(folder) / "checkpoint",
            resume=True,
        )
        state = {k: v.clone() for k, v in untrained.model.state_dict().items()}
        save_file(state, Path(folder) / f"model-{world().rank}")
        rows = json.dumps(_comparable(history))
        (Path(folder) / f"rows-{world().rank}").write_text(rows)


def evaluate_and_keep(out, num_scores):
    """Metrics of an untrained model, so many scores at a time."""
    evaluation.RANKED_SCORES = BlockSize(num_scores, num_scores)
    with joined_processes("cpu"):
        train, _, test, _ = synthetic(num_users=60, num_items=50)
        torch.manual_seed(0)
        model = build_model("MF-BPR", train)
        found = evaluate(model, test)
        users = evaluate(model, test, per_user=True)
        rows = {name: values.tolist() for name, values in users.items()}
        Path(f"{out}-{world().rank}").write_text(json.dumps([found, rows]))
