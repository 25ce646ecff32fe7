"""Train and evaluate systems for a moment, in one process or in several."""

from __future__ import annotations

import json
import math
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import torch
from safetensors.torch import save_file

from mmgraph.bench.config import run_config
from mmgraph.bench.experiment import build_run
from mmgraph.bench.spec import parse_spec
from mmgraph.data import synthetic
from mmgraph.distributed.group import joined_processes
from mmgraph.distributed.world import world
from mmgraph.errors import UserError
from mmgraph.functional.block_sizes import BlockSize
from mmgraph.models import build_model
from mmgraph.schema import ITEM, feature_key, modalities
from mmgraph.train import evaluate, evaluation, trainer

#: The last of an epoch's batches is no multiple of the processes.
OPTIONS = {
    "club_inner_steps": 3,
    "pretrain_epochs": 2,
    "batch_size": 150,
    "patience": 1000,
}


def train_all(specs, epochs, dtype=torch.float32):
    """Losses, metrics and measures of each system, epoch by epoch."""
    *splits, _ = synthetic(num_users=60, num_items=50, interactions_per_user=12)
    with computing_in(dtype):
        for split in splits:
            for key in map(feature_key, modalities(split)):
                split[ITEM][key] = split[ITEM][key].to(dtype)
        return {spec: _train(spec, splits, epochs) for spec in specs}


@contextmanager
def computing_in(dtype):
    """Everything in another precision, which the trainer refuses of features."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with ExitStack() as stack:
            if dtype != before:
                stack.enter_context(patch.object(trainer, "check_splits"))
            yield
    finally:
        torch.set_default_dtype(before)


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


def train_and_write(out, specs, epochs, dtype=torch.float32):
    """As one of the processes that the environment speaks of."""
    torch.set_num_threads(1)
    with joined_processes("cpu"):
        found = train_all(specs, epochs, dtype)
        if world().is_first:
            Path(out).write_text(json.dumps(found))


def same_history(spec, expected, found, rel=1e-6):
    """Equal metrics, and losses that are equal but for rounding."""
    for row, other in zip(expected, found, strict=True):
        assert row.keys() == other.keys()
        for key, value in row.items():
            if key.startswith("valid/"):
                assert other[key] == value, (spec, row["epoch"], key)
            else:  # a bound of SEA can be next to 0
                close = math.isclose(other[key], value, rel_tol=rel, abs_tol=rel / 10)
                assert close, (spec, row["epoch"], key, value, other[key])


def check(launch, folder, count, specs, epochs, rel, dtype=torch.float32):
    """Train in so many processes and in this one, and compare."""
    out = folder / "histories.json"
    group = launch(count, train_and_write, str(out), specs, epochs, dtype)
    expected = train_all(specs, epochs, dtype)
    outputs = group.outputs()
    assert [code for code, *_ in outputs] == [0] * count, outputs
    found = json.loads(out.read_text())
    for spec in specs:
        same_history(spec, expected[spec], found[spec], rel)


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


def evaluate_differing(seeds, ks):
    """An untrained model and cut-offs that each process has of its own."""
    with joined_processes("cpu"):
        train, _, test, _ = synthetic(num_users=60, num_items=50)
        torch.manual_seed(seeds[world().rank])
        model = build_model("MF-BPR", train)
        try:
            evaluate(model, test, ks=[ks[world().rank]])
        except UserError as error:
            sys.stdout.write(f"{error}\n")
