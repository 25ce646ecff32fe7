"""A search of options in a folder, which a kill leaves whole."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from mmgraph.bench.config import run_config
from mmgraph.bench.experiment import check_held_out
from mmgraph.bench.jobs.processes import TaskData
from mmgraph.bench.jobs.ray_tasks import RayTasks
from mmgraph.bench.jobs.watch import Watch, unwatched
from mmgraph.bench.parallel import run_threads
from mmgraph.bench.source import DataSource
from mmgraph.child_processes import end_process, signals_blocked, worker_process
from mmgraph.cluster import load_ray
from mmgraph.errors import UserError
from mmgraph.files import read_json, write_json
from mmgraph.folders import check_output_folder
from mmgraph.lock import locked, locked_folder
from mmgraph.tuning.cluster_trials import run_trials_elsewhere
from mmgraph.tuning.study import (
    JOURNAL,
    check_journal,
    forget_running,
    importance,
    journal_extent,
    load_optuna,
    open_study,
    trials_by_end,
    tried,
)
from mmgraph.tuning.trials import Search, run_trials

logger = logging.getLogger(__name__)

QUESTION, RESULT = "question.json", "tune.json"
#: Held by the process that begins a trial; so long the others wait.
_TURN, _SECONDS_FOR_A_TURN = ".turn.lock", 600
_SECONDS_BETWEEN_LOOKS = 0.2


def tune(
    search: Search,
    source: DataSource,
    folder: str | Path,
    *,
    trials: int = 30,
    jobs: int = 1,
    resume: bool = False,
    threads: int = 0,
    ray: str | None = None,
    gpus: float | None = None,
    watch: Watch = unwatched,
) -> dict[str, Any]:
    """Try options of a system on validation.

    The first trials are drawn at random, the others by the tree-structured Parzen
    estimator (Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS
    2011). A trial whose best value so far is below the median of the earlier ones,
    after as many evaluations, is ended early. Test is never looked at. With one job, a
    search that was interrupted and goes on finds what one without a break finds.

    Args:
        search: What is searched for.
        source: The data.
        folder: Gets ``question.json``, ``tune.journal`` (Optuna's own) and, at the end,
            ``tune.json``.
        trials: Trials to have in the end, failed ones not counted.
        jobs: Processes; with ``ray``, trials at once.
        resume: Go on with a search that lies there.
        threads: CPU threads of each; 0: as many as suit the data, or one with several
            jobs or on a cluster.
        ray: Address of a Ray cluster that does the trials, none of which is ended early
            there.
        gpus: GPUs of a trial there.
        watch: Shows the progress of a trial, with one job.

    Returns:
        What ``tune.json`` says: the question; ``trials`` by their end; ``best`` with
        its value of the monitored metric and its options; ``importance`` of each
        option, None where there are too few trials.

    Raises:
        UserError: If Optuna is missing, the folder holds another search (or this one,
            without ``resume``), the data or the system do not suit, or trials fail one
            after the other.
    """
    folder = Path(folder)
    load_optuna()
    if ray is not None:
        load_ray()
    check_output_folder(folder, first=[QUESTION], others=[RESULT, JOURNAL])
    source, (splits, sha256) = source.load_for([search.spec.model], lambda _: True)
    check_held_out(splits)
    question = search.question(sha256)
    with locked_folder(folder):
        _begin(folder, question, resume=resume)
        forget_running(open_study(folder))
        if ray is not None:
            elsewhere = replace(source, data=source.location)
            data = TaskData(elsewhere, sha256, search.device, threads or 1)
            with RayTasks(ray, data, gpus) as executor:
                study = open_study(folder)
                run_trials_elsewhere(study, search, executor, trials, jobs)
        elif jobs == 1:
            with run_threads(splits[0], search.device, threads):
                run_trials(open_study(folder), search, splits, trials, watch)
        else:
            _run_in_processes(folder, search, source, trials, jobs, threads or 1)
        result = question | _found(folder, search)
        write_json(folder / RESULT, result)
    return result


def _begin(folder: Path, question: dict[str, Any], *, resume: bool) -> None:
    """Claim the folder, or find the search that is to go on."""
    path, fix = folder / QUESTION, "choose another --out"
    if not path.exists():
        write_json(path, question)
        return
    there = read_json(path, fix="search again in another folder")
    for name, value in json.loads(json.dumps(question)).items():
        if there.get(name) != value:
            raise UserError(f"holds a search with another {name}", fix, path=folder)
    if not resume:
        raise UserError(
            "there is a search already", f"go on with --resume, or {fix}", path=folder
        )
    if (folder / RESULT).exists():
        result = read_json(folder / RESULT, fix="delete it, and run again")
        check_journal(folder, result["journal"])


def _run_in_processes(
    folder: Path,
    search: Search,
    source: DataSource,
    trials: int,
    jobs: int,
    threads: int,
) -> None:
    context, level = get_context("spawn"), logger.getEffectiveLevel()
    args = (folder, search, source, trials, threads, level)
    processes = [worker_process(context, _run_alone, *args) for _ in range(jobs)]
    try:
        with signals_blocked():
            for process in processes:
                process.start()
        while any(process.is_alive() for process in processes):
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        if any(process.exitcode for process in processes):
            what = "a process of the search has ended before its time"
            raise UserError(what, "see above, and run again with --resume")
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
            if process.pid is not None:
                end_process(process)


def _run_alone(
    folder: Path,
    search: Search,
    source: DataSource,
    trials: int,
    threads: int,
    level: int,
) -> None:
    logging.basicConfig(level=level, format="%(message)s")
    in_turn = partial(locked, folder / _TURN, folder, wait=_SECONDS_FOR_A_TURN)
    try:
        splits, _ = source.load()
        with run_threads(splits[0], search.device, threads):
            study = open_study(folder)
            run_trials(study, search, splits, trials, unwatched, in_turn)
    except UserError as error:
        raise SystemExit(f"error: {error}") from None


def _found(folder: Path, search: Search) -> dict[str, Any]:
    study = open_study(folder)
    ended = trials_by_end(study)
    if not ended["complete"]:
        raise UserError("no trial came to its end", "search a smaller space")
    best = study.best_trial
    return {
        "monitor": run_config(search.spec, search.settings).trainer["monitor"],
        "trials": {name: len(ended[name]) for name in ("complete", "pruned", "failed")},
        "best": {
            "value": best.value,
            "epoch": best.user_attrs["epoch"],
            "options": tried(best, search.space),
        },
        "importance": importance(study),
        "journal": journal_extent(folder),
    }
