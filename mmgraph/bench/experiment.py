"""One system, one seed: train, choose on validation, test once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.bench.config import RunConfig
from mmgraph.bench.failures import enough_memory, refused_values
from mmgraph.bench.jobs.watch import OnEpoch
from mmgraph.bench.memory import peak_memory, reset_peak_memory
from mmgraph.bench.records import ResultLine
from mmgraph.bench.versions import versions
from mmgraph.data.content_hash import fingerprint
from mmgraph.device import device_name, device_of, resolve_device, to_device
from mmgraph.errors import UserError
from mmgraph.models import build_model
from mmgraph.models.base import Recommender
from mmgraph.schema import INTERACTS, ITEM, USER
from mmgraph.train.epoch_seed import DRAWS
from mmgraph.train.evaluation import evaluate
from mmgraph.train.history import History
from mmgraph.train.trainer import Trainer

Splits = tuple[HeteroData, HeteroData, HeteroData]
CUTOFFS = (10, 20)


@dataclass(frozen=True)
class UntrainedRun:
    """A run whose options were taken: its model, its trainer, its data on the device.

    The model is initialised by the seed.
    """

    run: RunConfig
    seed: int
    model: Recommender
    trainer: Trainer
    splits: Splits


@dataclass(frozen=True)
class TrainedRun:
    """A trained run: the model of the best epoch, its history, its line of results.

    ``per_user`` holds the test metrics of each user, None when test was not computed.
    """

    line: ResultLine
    model: Recommender
    history: History
    per_user: dict[str, np.ndarray] | None


def run_experiment(
    run: RunConfig,
    splits: Splits,
    *,
    data: str,
    data_sha256: str,
    seed: int = 999,
    device: str = "auto",
    test: bool = True,
    on_epoch: OnEpoch | None = None,
) -> TrainedRun:
    """Train one system with one seed and measure it.

    The same call twice gives the same line but for times and memory. The epoch is
    chosen by the trainer on validation; test is computed once, after that.

    Args:
        run: The system with all its options.
        splits: Train, validation and test.
        data: Name of the data set, for the line.
        data_sha256: Its fingerprint, for the line.
        seed: Seeds the initialisation and the trainer.
        device: As the trainer takes it.
        test: False leaves the test split alone, as selection must.
        on_epoch: Called with each row of the history.

    Raises:
        UserError: If an option has a value that the model or the trainer refuses.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.bench.config import run_config
        >>> from mmgraph.bench.spec import parse_spec
        >>> run = run_config(parse_spec("MF-BPR:embedding_dim=4,epochs=1"))
        >>> splits = load_dataset("synthetic")
        >>> line = run_experiment(run, splits, data="synthetic", data_sha256="").line
        >>> sorted(line["metrics"]), line["epochs"]
        (['test', 'valid'], 1)
    """
    untrained = build_run(run, splits, seed=seed, device=device)
    return train(
        untrained, data=data, data_sha256=data_sha256, test=test, on_epoch=on_epoch
    )


@enough_memory()
def build_run(
    run: RunConfig, splits: Splits, *, seed: int = 999, device: str = "auto"
) -> UntrainedRun:
    """Build the model and the trainer of a run, which check its options.

    Args:
        run: The system with all its options.
        splits: Train, validation and test.
        seed: Seeds the initialisation and the trainer.
        device: As the trainer takes it.

    Raises:
        UserError: If the data do not suit the model, or an option may not have its
            value.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.bench.config import run_config
        >>> from mmgraph.bench.spec import parse_spec
        >>> run = run_config(parse_spec("MF-BPR:lr=-1"))
        >>> build_run(run, load_dataset("synthetic"))
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: Trainer: 'lr' must be above 0 or null (got -1) - \
correct the option
    """
    trainer = make_trainer(run, seed, device)
    where = resolve_device(device)
    memo: dict[int, Any] = {}
    on_device = [to_device(split, where, memo) for split in splits]
    reset_peak_memory()
    torch.manual_seed(seed)
    model = build(run, on_device[0])
    return UntrainedRun(run, seed, model, trainer, (*on_device,))


@enough_memory()
@refused_values()
def train(
    untrained: UntrainedRun,
    *,
    data: str,
    data_sha256: str,
    test: bool = True,
    on_epoch: OnEpoch | None = None,
    checkpoint_dir: Path | None = None,
    history_file: Path | None = None,
    resume: bool = False,
    warm: bool = False,
) -> TrainedRun:
    """Train a run that was built, and measure it.

    Args:
        untrained: As :func:`build_run` gives it; its model is trained in place.
        data: Name of the data set, for the line.
        data_sha256: Its fingerprint, for the line.
        test: False leaves the test split alone, as selection must.
        on_epoch: Called with each row of the history.
        checkpoint_dir: Folder of the trainer's checkpoint.
        history_file: Gets a line per epoch, as the trainer writes it.
        resume: Go on from that checkpoint.
        warm: The model's parameters are those of an earlier training.

    Raises:
        UserError: If training diverges, a function of the model refuses the data,
            memory is short, or the checkpoint is of another run.
    """
    training, valid, _ = untrained.splits
    history = untrained.trainer.fit(
        untrained.model,
        training,
        valid if _has_pairs(valid) else None,
        on_epoch=on_epoch,
        checkpoint_dir=checkpoint_dir,
        history_file=history_file,
        resume=resume,
        warm=warm,
    )
    return measured(untrained, history, data, data_sha256, test=test)


def measured(
    built: UntrainedRun,
    history: History,
    data: str,
    data_sha256: str,
    *,
    test: bool = True,
) -> TrainedRun:
    """The line of results of a model that has its final parameters.

    Args:
        built: The run.
        history: What was trained.
        data: Name of the data set, for the line.
        data_sha256: Its fingerprint, for the line.
        test: False leaves the test split alone, as selection must.
    """
    run, model = built.run, built.model
    _, valid, held_out = built.splits
    metrics = {}
    if _has_pairs(valid):
        metrics["valid"] = evaluate(model, valid, ks=CUTOFFS)
    per_user = None
    if test and _has_pairs(held_out):
        per_user, metrics["test"] = _test(model, held_out)
    device = device_of(model)
    line: ResultLine = {
        "spec": run.label,
        "data": data,
        "data_sha256": data_sha256,
        "interactions_sha256": fingerprint(*built.splits, features=False),
        "counts": split_counts(built.splits),
        "metrics": metrics,
        "versions": versions(),
        "draws": DRAWS,
        "model": run.spec.model,
        "plugin": run.spec.plugin,
        "fidelity": run.spec.fidelity,
        "options": run.options,
        "trainer": run.trainer,
        "seed": built.seed,
        "best_epoch": history.best_epoch,
        "epochs": history.epochs,
        "seconds_per_epoch": history.seconds_per_epoch,
        "seconds_per_evaluation": history.seconds_per_evaluation,
        "peak_memory_bytes": peak_memory(device),
        "device": device_name(device),
        "key": run.key(built.seed, data_sha256),
    }
    return TrainedRun(line, model, history, per_user)


def _has_pairs(split: HeteroData) -> bool:
    return bool(split[INTERACTS].edge_label_index.numel())


def check_held_out(splits: Splits) -> None:
    """Refuse data of which nothing is held out, where options are to be chosen.

    Raises:
        UserError: If validation or test has no pairs.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> check_held_out(load_dataset("synthetic"))
    """
    if not all(map(_has_pairs, splits)):
        raise UserError(
            "nothing is held out to compare or to choose by",
            "choose another --split",
        )


@enough_memory()
@refused_values()
def finish_experiment(
    run: RunConfig,
    splits: Splits,
    tensors: dict[str, Tensor],
    line: ResultLine,
    *,
    device: str = "auto",
) -> tuple[ResultLine, dict[str, np.ndarray]]:
    """Test a run that was trained with ``test=False``, now that it was chosen.

    Args:
        run: The system with all its options.
        splits: Train, validation and test.
        tensors: ``state_dict`` of the trained model.
        line: Its line of results, without test metrics.
        device: As the trainer takes it.

    Returns:
        The line that the same run with ``test=True`` would have left, and the test
        metrics of each user.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.bench.config import run_config
        >>> from mmgraph.bench.spec import parse_spec
        >>> run = run_config(parse_spec("MF-BPR:embedding_dim=4,epochs=1"))
        >>> splits = load_dataset("synthetic")
        >>> done = run_experiment(run, splits, data="", data_sha256="", test=False)
        >>> state = done.model.state_dict()
        >>> line, per_user = finish_experiment(run, splits, state, done.line)
        >>> sorted(done.line["metrics"]), sorted(line["metrics"])
        (['valid'], ['test', 'valid'])
    """
    where = resolve_device(device)
    memo: dict[int, Any] = {}
    train, _, held_out = (to_device(split, where, memo) for split in splits)
    model = build(run, train)
    model.load_state_dict(tensors)
    per_user, metrics = _test(model.to(where), held_out)
    tested: ResultLine = {**line, "metrics": {**line["metrics"], "test": metrics}}
    return tested, per_user


@enough_memory()
def build(run: RunConfig, train: HeteroData) -> Recommender:
    """The untrained model of a run.

    Raises:
        UserError: If the data do not suit the model, or an option may not have its
            value.
    """
    return build_model(
        run.spec.model,
        train,
        plugin=run.spec.plugin,
        fidelity=run.spec.fidelity,
        **run.options,
    )


def make_trainer(run: RunConfig, seed: int, device: str) -> Trainer:
    """The trainer of a run.

    Raises:
        UserError: If an option may not have its value.
    """
    return Trainer(seed=seed, device=device, **run.trainer)


def split_counts(splits: Sequence[HeteroData]) -> dict[str, int]:
    """Users, items, and interactions of each split.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> split_counts(load_dataset("synthetic"))["users"]
        1000
    """
    counts = {"users": splits[0][USER].num_nodes, "items": splits[0][ITEM].num_nodes}
    for name, split in zip(("train", "valid", "test"), splits, strict=True):
        counts[name] = split[INTERACTS].edge_label_index.size(1)
    return counts


def validated_users(splits: Splits) -> int:
    """Number of users whose items a validation metric ranks.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> validated_users(load_dataset("synthetic"))
        1000
    """
    user, _ = splits[1][INTERACTS].edge_label_index
    return int(user.unique().numel())


def _test(
    model: Recommender, held_out: HeteroData
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    per_user = evaluate(model, held_out, ks=CUTOFFS, per_user=True)
    means = {
        name: float(values.mean())
        for name, values in per_user.items()
        if name != "user"
    }
    return per_user, means
