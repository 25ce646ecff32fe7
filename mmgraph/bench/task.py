"""One piece of a benchmark's work, the same in this process and in another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmgraph.bench.config import Resolved
from mmgraph.bench.experiment import Splits, finish_experiment, run_experiment
from mmgraph.train.checkpoint import load_checkpoint, pack_checkpoint

OnEpoch = Callable[[dict[str, Any]], None]

_HISTORY = "history"


@dataclass(frozen=True)
class Task:
    """Train a system with one seed, or test what was trained and then chosen.

    Args:
        run: The system with all its options.
        seed: The seed.
        key: Digest of the run.
        test: False for a grid point, which must leave test alone.
        rivals: Keys of all points of its stage, in their order.
        trained: Folder of the checkpoint of the same run, where it was kept.
        selection: What the line of results says about the choice.
    """

    run: Resolved
    seed: int
    key: str
    test: bool = True
    rivals: tuple[str, ...] = ()
    trained: Path | None = None
    selection: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, bool]:
        """Equal for tasks of which one is enough."""
        return self.key, self.test

    def __str__(self) -> str:
        return f"{self.run.label} seed {self.seed}"


@dataclass(frozen=True)
class Outcome:
    """What a task left: a line of results, and what else it was to give."""

    line: dict[str, Any]
    per_user: dict[str, np.ndarray] | None = None
    trained: bytes | None = None
    history: list[dict[str, Any]] | None = None


def perform(
    task: Task,
    splits: Splits,
    *,
    data: str,
    data_sha256: str,
    device: str = "auto",
    on_epoch: OnEpoch | None = None,
) -> Outcome:
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
        >>> from mmgraph.bench.config import resolve
        >>> from mmgraph.bench.spec import parse_spec
        >>> run = resolve(parse_spec("MF-BPR:embedding_dim=4,epochs=1"))
        >>> task = Task(run, 1, run.key(1, ""), test=False)
        >>> outcome = perform(task, load_dataset("synthetic"), data="", data_sha256="")
        >>> list(outcome.line["metrics"]), outcome.per_user
        (['valid'], None)
    """
    if task.trained is not None:
        tensors, line = load_checkpoint(task.trained)
        rows = line.pop(_HISTORY, None)
        line, per_user = finish_experiment(
            task.run, splits, tensors, line, device=device
        )
        return Outcome(line, per_user, history=rows)
    done = run_experiment(
        task.run,
        splits,
        data=data,
        data_sha256=data_sha256,
        seed=task.seed,
        device=device,
        test=task.test,
        on_epoch=on_epoch,
    )
    rows = done.history.rows
    if task.test:
        return Outcome(done.line, done.per_user, history=rows)
    state = {**done.line, _HISTORY: rows}
    return Outcome(done.line, trained=pack_checkpoint(done.model.state_dict(), state))
