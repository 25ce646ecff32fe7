"""The trials of a search on a Ray cluster; Optuna and its journal stay here."""

from __future__ import annotations

import logging
from typing import Any

from mmgraph.bench.config import run_config
from mmgraph.bench.jobs.executors import Executor
from mmgraph.bench.jobs.task import Task, TaskResult
from mmgraph.errors import UserError
from mmgraph.tuning.study import fail_trial
from mmgraph.tuning.trials import MOST_FAILURES, Search, begin_trial, shown

logger = logging.getLogger(__name__)


def run_trials_elsewhere(
    study: Any, search: Search, executor: Executor, count: int, at_once: int
) -> None:
    """Try until there are enough trials, as tasks of an executor.

    None is ended early, as no values come back before the last.

    Args:
        study: As :func:`~mmgraph.tuning.study.open_study` gives it.
        search: What is searched for.
        executor: Does the trainings.
        count: Trials to have in the end, failed ones not counted.
        at_once: Trials under way at most.

    Raises:
        UserError: The last reason, if five trials fail one after the other (besides
            those that were under way by then), or a training was lost again and
            again.
    """
    running: dict[str, tuple[Any, dict[str, Any]]] = {}
    failures = 0
    while True:
        while len(running) < at_once and (begun := begin_trial(study, search, count)):
            trial, options = begun
            run = run_config(search.spec, {**search.settings, **options})
            task = Task(run, search.seed, str(trial.number), test=False)
            running[task.key] = trial, options
            executor.start(task)
        ended = executor.wait()
        if ended is None:
            return
        task, result = ended
        failed = _tell(study, *running.pop(task.key), task, result)
        failures = failures + 1 if failed else 0
        # Those that are under way at once were drawn before the first has failed.
        if failures == MOST_FAILURES + at_once - 1 and isinstance(result, UserError):
            raise result


def _tell(
    study: Any,
    trial: Any,
    options: dict[str, Any],
    task: Task,
    result: TaskResult | UserError,
) -> bool:
    """Tell the study how a trial ended; True if it failed."""
    if isinstance(result, UserError):
        fail_trial(study, trial, result)
        logger.warning("a trial failed: %s (%s)", result, shown(options))
        return True
    value = float(result.line["metrics"]["valid"][task.run.trainer["monitor"]])
    trial.set_user_attr("epoch", result.line["best_epoch"])
    study.tell(trial, value)
    logger.info("trial %d: %.4f, %s", trial.number + 1, value, shown(options))
    return False
