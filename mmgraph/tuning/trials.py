"""The trials of a search, one after the other, in one process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from mmgraph.bench.config import run_config
from mmgraph.bench.experiment import Splits, run_experiment
from mmgraph.bench.jobs.watch import OnEpoch, Watch
from mmgraph.bench.spec import ModelSpec
from mmgraph.errors import UserError
from mmgraph.tuning.space import Space, as_json
from mmgraph.tuning.study import (
    draw,
    fail_trial,
    load_optuna,
    next_trial,
    trials_by_end,
)

logger = logging.getLogger(__name__)

#: Evaluations of a trial before it may be ended early.
_LEAST_EVALUATIONS = 5
#: Trials that fail one after the other before the search gives up.
MOST_FAILURES = 5


@dataclass(frozen=True)
class Search:
    """What is searched for.

    Attributes:
        spec: The system.
        space: What may be tried.
        settings: Options that stay.
        seed: Seed of every training, and of the choice of trials.
        device: Device to train on.
    """

    spec: ModelSpec
    space: Space
    settings: Mapping[str, Any]
    seed: int = 999
    device: str = "auto"

    def question(self, data_sha256: str) -> dict[str, Any]:
        """What two searches share if their trials may stand in one folder."""
        return {
            "spec": str(self.spec),
            "space": as_json(self.space),
            "settings": dict(self.settings),
            "seed": self.seed,
            "data_sha256": data_sha256,
        }


class _EndedEarly(Exception):  # noqa: N818  (no error)
    """A trial that is not worth going on with."""


def run_trials(
    study: Any,
    search: Search,
    splits: Splits,
    count: int,
    watch: Watch,
    in_turn: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Try until there are enough trials, those of other processes included.

    Args:
        study: As :func:`~mmgraph.tuning.study.open_study` gives it.
        search: What is searched for.
        splits: Train, validation and test, which is not looked at.
        count: Trials to have in the end, failed ones not counted.
        watch: Shows the progress of each.
        in_turn: Keeps other processes waiting while a trial begins.

    Raises:
        UserError: The last reason, if five trials fail one after the other.
    """
    states, failures = load_optuna().trial.TrialState, 0
    while True:
        with in_turn():
            begun = begin_trial(study, search, count)
        if begun is None:
            return
        trial, options = begun
        try:
            value = _value(trial, search, options, splits, watch)
        except _EndedEarly:
            study.tell(trial, state=states.PRUNED)
            logger.info("trial %d: ended early, %s", trial.number + 1, shown(options))
        except UserError as error:
            fail_trial(study, trial, error)
            logger.warning("a trial failed: %s (%s)", error, shown(options))
            failures += 1
            if failures == MOST_FAILURES:
                raise
            continue
        else:
            study.tell(trial, value)
            logger.info("trial %d: %.4f, %s", trial.number + 1, value, shown(options))
        failures = 0


def begin_trial(
    study: Any, search: Search, count: int
) -> tuple[Any, dict[str, Any]] | None:
    """A further trial and its options; None once there are enough.

    Args:
        study: As :func:`~mmgraph.tuning.study.open_study` gives it.
        search: What is searched for.
        count: Trials to have in the end, failed ones not counted.
    """
    trials = trials_by_end(study)
    if sum(len(trials[end]) for end in ("complete", "pruned", "running")) >= count:
        return None
    trial = next_trial(study, search.seed)
    return trial, {name: draw(trial, name, v) for name, v in search.space.items()}


def _value(
    trial: Any,
    search: Search,
    options: Mapping[str, Any],
    splits: Splits,
    watch: Watch,
) -> float:
    """The monitored metric of a trial's best epoch."""
    run = run_config(search.spec, {**search.settings, **options})
    monitor = run.trainer["monitor"]
    with watch(run.label, search.seed, run.trainer["epochs"]) as show:
        report = _Report(trial, f"valid/{monitor}", show)
        done = run_experiment(
            run,
            splits,
            data="",
            data_sha256="",
            seed=search.seed,
            device=search.device,
            test=False,
            on_epoch=report,
        )
    trial.set_user_attr("epoch", done.line["best_epoch"])
    return float(done.line["metrics"]["valid"][monitor])


@dataclass
class _Report:
    """Tells the study of each evaluation, and ends a trial that falls behind."""

    trial: Any
    metric: str
    show: OnEpoch | None
    best: float = float("-inf")
    evaluations: int = 0

    def __call__(self, row: dict[str, Any]) -> None:
        if self.show is not None:
            self.show(row)
        if self.metric not in row:
            return
        self.evaluations += 1
        self.best = max(self.best, row[self.metric])
        self.trial.report(self.best, self.evaluations)
        if self.evaluations >= _LEAST_EVALUATIONS and self.trial.should_prune():
            raise _EndedEarly


def shown(options: Mapping[str, Any]) -> str:
    """Options as the log has them.

    Example:
        >>> shown({"lr": 0.25, "num_layers": 2})
        'lr=0.25, num_layers=2'
    """
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in options.items()
    )
