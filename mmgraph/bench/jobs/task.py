"""One piece of a benchmark's work, the same in this process and in another."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmgraph.bench.config import RunConfig
from mmgraph.bench.experiment import Splits, finish_experiment, run_experiment
from mmgraph.bench.jobs.watch import OnEpoch
from mmgraph.bench.records import ResultLine, Selection
from mmgraph.bench.results_folder import Rival
from mmgraph.bench.run_directory import pack_weights
from mmgraph.errors import UserError
from mmgraph.train.checkpoint import load_checkpoint, pack_checkpoint

_HISTORY = "history"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """Train a system with one seed, or test what was trained and then chosen.

    Args:
        run: The system with all its options.
        seed: The seed.
        key: Digest of the run.
        test: False for a grid point, which must leave test alone.
        rivals: All points of its stage, in their order.
        keep: Give the weights of the model, too, where test is computed.
        trained: Folder of the checkpoint of the same run, where it was kept.
        selection: The choice behind the run, for the line of results.
    """

    run: RunConfig
    seed: int
    key: str
    test: bool = True
    keep: bool = False
    rivals: tuple[Rival, ...] = ()
    trained: Path | None = None
    selection: Selection | None = None

    @property
    def identity(self) -> tuple[str, bool]:
        """Equal for tasks of which one is enough."""
        return self.key, self.test

    def __str__(self) -> str:
        return f"{self.run.label} seed {self.seed}"


@dataclass(frozen=True)
class TaskResult:
    """A line of results, and what else a task was to give."""

    line: ResultLine
    per_user: dict[str, np.ndarray] | None = None
    trained: bytes | None = None
    history: list[dict[str, Any]] | None = None
    weights: bytes | None = None


def perform(
    task: Task,
    splits: Splits,
    *,
    data: str,
    data_sha256: str,
    device: str = "auto",
    on_epoch: OnEpoch | None = None,
) -> TaskResult:
    """Do a task. Nothing is written, and test is computed only where the task says so.

    Args:
        task: The task.
        splits: Train, validation and test.
        data: Name of the data set, for the line.
        data_sha256: Its fingerprint, for the line.
        device: As the trainer takes it.
        on_epoch: Called with each row of the history.

    Raises:
        UserError: If training diverges or an option is refused.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.bench.config import run_config
        >>> from mmgraph.bench.spec import parse_spec
        >>> run = run_config(parse_spec("MF-BPR:embedding_dim=4,epochs=1"))
        >>> task = Task(run, 1, run.key(1, ""), test=False)
        >>> result = perform(task, load_dataset("synthetic"), data="", data_sha256="")
        >>> list(result.line["metrics"]), result.per_user
        (['valid'], None)
    """
    if task.trained is not None:
        try:
            return _test_trained(task.trained, task, splits, device)
        except UserError as error:  # trained again, it gives the same
            logger.warning("%s: training it again: %s", task, error)
    trained = run_experiment(
        task.run,
        splits,
        data=data,
        data_sha256=data_sha256,
        seed=task.seed,
        device=device,
        test=task.test,
        on_epoch=on_epoch,
    )
    rows = trained.history.rows
    if task.test:
        weights = pack_weights(trained.model.state_dict()) if task.keep else None
        return TaskResult(trained.line, trained.per_user, history=rows, weights=weights)
    state = {**trained.line, _HISTORY: rows}
    packed = pack_checkpoint(trained.model.state_dict(), state)
    return TaskResult(trained.line, trained=packed)


def _test_trained(folder: Path, task: Task, splits: Splits, device: str) -> TaskResult:
    """Test the parameters that were kept for a task.

    Raises:
        UserError: If they are damaged, or not those of the task.
    """
    tensors, state = load_checkpoint(folder)
    rows = state.pop(_HISTORY, None)
    if state.get("key") != task.key:
        raise UserError("the parameters are of another run", "delete them", path=folder)
    line, per_user = finish_experiment(task.run, splits, tensors, state, device=device)
    weights = pack_weights(tensors) if task.keep else None
    return TaskResult(line, per_user, history=rows, weights=weights)
