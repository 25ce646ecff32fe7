"""One system, one seed: train, choose on validation, test once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.bench.config import Resolved
from mmgraph.bench.memory import peak_memory, reset_peak_memory
from mmgraph.bench.versions import versions
from mmgraph.device import place, resolve_device
from mmgraph.errors import UserError
from mmgraph.models import build_model
from mmgraph.models.base import Recommender
from mmgraph.schema import INTERACTS, ITEM, USER
from mmgraph.train.evaluation import evaluate
from mmgraph.train.popularity import Popularity
from mmgraph.train.trainer import History, Trainer

Splits = tuple[HeteroData, HeteroData, HeteroData]
CUTOFFS = (10, 20)


@dataclass
class Experiment:
    """What one run left: the best model, its history, its line of results.

    ``per_user`` holds the test metrics of each user, None when test was not computed.
    """

    line: dict[str, Any]
    model: Recommender
    history: History
    per_user: dict[str, np.ndarray] | None


def run_experiment(
    run: Resolved,
    splits: Splits,
    *,
    data: str,
    data_sha256: str,
    seed: int = 999,
    device: str = "auto",
    test: bool = True,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    checkpoint_dir: Path | None = None,
    resume: bool = False,
) -> Experiment:
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
        checkpoint_dir: Where the trainer keeps its checkpoint.
        resume: Go on from that checkpoint.

    Raises:
        UserError: If an option has a value that the model or the trainer refuses.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.bench.config import resolve
        >>> from mmgraph.bench.spec import parse_spec
        >>> run = resolve(parse_spec("MF-BPR:embedding_dim=4,epochs=1"))
        >>> splits = load_dataset("synthetic")
        >>> line = run_experiment(run, splits, data="synthetic", data_sha256="").line
        >>> sorted(line["metrics"]), line["epochs"]
        (['test', 'valid'], 1)
    """
    where = resolve_device(device)
    memo: dict[int, Any] = {}
    train, valid, held_out = (place(split, where, memo) for split in splits)
    reset_peak_memory()
    torch.manual_seed(seed)
    model = build(run, train)
    trainer = make_trainer(run, seed, device)
    history = trainer.fit(
        model,
        train,
        valid,
        on_epoch=on_epoch,
        checkpoint_dir=checkpoint_dir,
        resume=resume,
    )
    metrics = {"valid": evaluate(model, valid, ks=CUTOFFS)}
    per_user = None
    if test:
        per_user, metrics["test"] = _test(model, held_out)
    line = {
        **_line(run.label, data, data_sha256, splits, metrics),
        "model": run.spec.model,
        "plugin": run.spec.plugin,
        "fidelity": run.spec.fidelity,
        "options": run.options,
        "trainer": run.trainer,
        "seed": seed,
        "best_epoch": history.best_epoch,
        "epochs": history.epochs,
        "seconds_per_epoch": history.seconds_per_epoch,
        "seconds_per_evaluation": history.seconds_per_evaluation,
        "peak_memory_bytes": peak_memory(where),
        "device": str(where),
        "key": run.key(seed, data_sha256),
    }
    return Experiment(line, model, history, per_user)


def finish_experiment(
    run: Resolved,
    splits: Splits,
    tensors: dict[str, Tensor],
    line: Mapping[str, Any],
    *,
    device: str = "auto",
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
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
        >>> from mmgraph.bench.config import resolve
        >>> from mmgraph.bench.spec import parse_spec
        >>> run = resolve(parse_spec("MF-BPR:embedding_dim=4,epochs=1"))
        >>> splits = load_dataset("synthetic")
        >>> done = run_experiment(run, splits, data="", data_sha256="", test=False)
        >>> state = done.model.state_dict()
        >>> line, per_user = finish_experiment(run, splits, state, done.line)
        >>> sorted(done.line["metrics"]), sorted(line["metrics"])
        (['valid'], ['test', 'valid'])
    """
    where = resolve_device(device)
    memo: dict[int, Any] = {}
    train, _, held_out = (place(split, where, memo) for split in splits)
    model = build(run, train)
    model.load_state_dict(tensors)
    per_user, metrics = _test(model.to(where), held_out)
    return {**line, "metrics": {**line["metrics"], "test": metrics}}, per_user


def popularity_line(splits: Splits, *, data: str, data_sha256: str) -> dict[str, Any]:
    """The line of :class:`Popularity`, which needs no seed and no training.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> splits = load_dataset("synthetic")
        >>> line = popularity_line(splits, data="synthetic", data_sha256="")
        >>> line["model"], line["seed"], line["epochs"]
        ('Popularity', None, 0)
    """
    model = Popularity.from_data(splits[0])
    measured = {
        name: evaluate(model, split, ks=CUTOFFS)
        for name, split in (("valid", splits[1]), ("test", splits[2]))
    }
    nothing: dict[str, Any] = {
        "plugin": None,
        "fidelity": "paper",
        "options": {},
        "trainer": {},
        "seed": None,
        "best_epoch": 0,
        "epochs": 0,
        "seconds_per_epoch": 0.0,
        "seconds_per_evaluation": 0.0,
        "peak_memory_bytes": 0,
        "device": "cpu",
        "key": f"Popularity-{data_sha256}",
    }
    line = _line("Popularity", data, data_sha256, splits, measured)
    return {**line, "model": "Popularity", **nothing}


def build(run: Resolved, train: HeteroData) -> Recommender:
    """The untrained model of a run.

    Raises:
        UserError: If the data or an option do not suit the model.
    """
    return build_model(
        run.spec.model,
        train,
        plugin=run.spec.plugin,
        fidelity=run.spec.fidelity,
        **run.options,
    )


def make_trainer(run: Resolved, seed: int, device: str) -> Trainer:
    """The trainer of a run.

    Raises:
        UserError: If it refuses an option.
    """
    try:
        return Trainer(seed=seed, device=device, **run.trainer)
    except UserError:
        raise
    except (TypeError, ValueError) as error:
        raise UserError(f"{run.label}: {error}", "correct the option") from error


def _line(
    label: str,
    data: str,
    data_sha256: str,
    splits: Sequence[HeteroData],
    metrics: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    names = ("train", "valid", "test")
    counts = {"users": splits[0][USER].num_nodes, "items": splits[0][ITEM].num_nodes}
    for name, split in zip(names, splits, strict=True):
        counts[name] = split[INTERACTS].edge_label_index.size(1)
    return {
        "spec": label,
        "data": data,
        "data_sha256": data_sha256,
        "counts": counts,
        "metrics": {name: dict(values) for name, values in metrics.items()},
        "versions": versions(),
    }


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
