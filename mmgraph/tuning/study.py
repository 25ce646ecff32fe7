"""Optuna's side of a search: its storage, what it draws, what it says in the end."""

from __future__ import annotations

import hashlib
import importlib
from itertools import count
from pathlib import Path
from typing import Any, TypedDict

from mmgraph.errors import UserError
from mmgraph.tuning.space import Choices, Interval, Space

JOURNAL = "tune.journal"
#: Trials that are drawn at random, and ended ones from which a median is taken.
STARTUP_TRIALS = 5
#: What a trial says: its number for the seed, and why it failed.
_NUMBER, _ERROR = "number", "error"


def load_optuna() -> Any:
    """The package, with its log kept silent.

    Raises:
        UserError: If it is not installed.
    """
    try:
        optuna = importlib.import_module("optuna")
    except ImportError:
        raise UserError("tuning needs Optuna", "pip install 'mmgraph[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def open_study(folder: Path) -> Any:
    """The study whose journal lies in a folder; it is made if there is none.

    A journal is only ever appended to, so a kill leaves all ended trials.

    Raises:
        UserError: If Optuna cannot read it.
    """
    optuna = load_optuna()
    journal = importlib.import_module("optuna.storages.journal")
    pruner = optuna.pruners.MedianPruner(
        n_startup_trials=STARTUP_TRIALS, n_min_trials=STARTUP_TRIALS
    )
    try:
        backend = journal.JournalFileBackend(str(folder / JOURNAL))
        return optuna.create_study(
            storage=optuna.storages.JournalStorage(backend),
            study_name="mmgraph",
            direction="maximize",
            load_if_exists=True,
            pruner=pruner,
        )
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise damaged_journal(folder) from error


def damaged_journal(folder: Path) -> UserError:
    """The error about a journal that is not as it was written."""
    fix = "search again in another folder"
    return UserError("the journal is damaged", fix, path=folder / JOURNAL)


class Extent(TypedDict):
    """How far a journal went, and the SHA-256 of that part."""

    bytes: int
    sha256: str


def journal_extent(folder: Path) -> Extent:
    """The extent of a journal as it is."""
    content = (folder / JOURNAL).read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def check_journal(folder: Path, extent: Extent) -> None:
    """Refuse a journal that does not begin as it did.

    Raises:
        UserError: If it is shorter, or differs.
    """
    path = folder / JOURNAL
    content = path.read_bytes()[: extent["bytes"]] if path.exists() else b""
    if hashlib.sha256(content).hexdigest() != extent["sha256"]:
        raise damaged_journal(folder)


def trials_by_end(study: Any) -> dict[str, list[Any]]:
    """Its trials under ``complete``, ``pruned``, ``failed`` and ``running``."""
    names = {"COMPLETE": "complete", "PRUNED": "pruned", "RUNNING": "running"}
    found: dict[str, list[Any]] = {name: [] for name in (*names.values(), "failed")}
    for trial in study.get_trials(deepcopy=False):
        has_failed = _ERROR in trial.user_attrs or trial.state.name not in names
        found["failed" if has_failed else names[trial.state.name]].append(trial)
    return found


def next_trial(study: Any, seed: int) -> Any:
    """A trial by the tree-structured Parzen estimator, whose draws the seed decides.

    No two trials draw from the same numbers. One that was interrupted leaves its own to
    the next: a search that goes on draws what one without a break draws.
    """
    taken = {
        trial.user_attrs.get(_NUMBER, trial.number)
        for trial in study.get_trials(deepcopy=False)
        if trial.state.name != "FAIL"
    }
    number = next(n for n in count() if n not in taken)
    study.sampler = load_optuna().samplers.TPESampler(
        seed=seed + number, n_startup_trials=STARTUP_TRIALS, multivariate=True
    )
    trial = study.ask()
    trial.set_user_attr(_NUMBER, number)
    return trial


def fail_trial(study: Any, trial: Any, error: UserError) -> None:
    """Tell the study that a trial failed.

    To Optuna it is one that fell behind all others: what fails in its eyes it forgets,
    and would try again and again.
    """
    trial.set_user_attr(_ERROR, str(error))
    study.tell(trial, state=load_optuna().trial.TrialState.PRUNED)


def forget_running(study: Any) -> None:
    """Trials that a killed process left count as failed, and are drawn again."""
    states = load_optuna().trial.TrialState
    for trial in study.get_trials(deepcopy=False, states=[states.RUNNING]):
        study.tell(trial.number, state=states.FAIL)


def draw(trial: Any, name: str, values: Interval | Choices) -> Any:
    """What a trial is to try of one option."""
    if isinstance(values, list):
        return values[trial.suggest_categorical(name, list(range(len(values))))]
    if values.is_integer:
        return trial.suggest_int(name, int(values.low), int(values.high))
    return trial.suggest_float(name, values.low, values.high, log=values.is_logarithmic)


def tried(trial: Any, space: Space) -> dict[str, Any]:
    """What a trial that has ended has tried."""
    return {
        name: values[trial.params[name]]
        if isinstance(values, list)
        else trial.params[name]
        for name, values in space.items()
    }


def importance(study: Any) -> dict[str, float] | None:
    """Share of each option in how much the value varies; None with too few trials.

    By PED-ANOVA (Watanabe et al., IJCAI 2023).
    """
    evaluate = load_optuna().importance
    try:
        shares = evaluate.get_param_importances(
            study, evaluator=evaluate.PedAnovaImportanceEvaluator()
        )
    except (ValueError, RuntimeError):  # too few trials, or all alike
        return None
    return {name: float(share) for name, share in shares.items()} or None
