"""Test metrics of each user, read from run directories and benchmark folders."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mmgraph.analysis.leaderboard.table import latest_runs
from mmgraph.bench.experiment import CUTOFFS, Splits
from mmgraph.bench.floors.tuned_floors import is_floor
from mmgraph.bench.records import same_data
from mmgraph.bench.results_folder import RESULTS, read_per_user, read_results
from mmgraph.bench.run_directory import INFO, finished_info, load_run
from mmgraph.bench.source import DataSource
from mmgraph.errors import UserError
from mmgraph.train.evaluation import evaluate


@dataclass(frozen=True)
class PerUserMetrics:
    """Metrics ``[seeds, users]`` of one system, its seeds ascending, and its users."""

    label: str
    seeds: tuple[int, ...]
    users: np.ndarray
    values: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class _Run:
    """One run on disk: its folder, its line of results, a reader of users' metrics."""

    path: Path
    line: Mapping[str, Any]
    per_user: Callable[[], Mapping[str, np.ndarray]]

    def __str__(self) -> str:
        return f"{self.line['spec']} seed {self.line['seed']}"


def load_per_user(
    paths: Sequence[Path], *, data: str | None = None, device: str = "auto"
) -> list[PerUserMetrics]:
    """Read the systems of several folders, runs that differ in the seed alone as one.

    A run directory holds no metrics of single users; they are computed from its model.
    Of a benchmark folder the runs on the data of its last line count, of each system
    those with its latest settings; *Popularity* is left out, and where others were
    trained, so are the other floors.

    Args:
        paths: Run directories and benchmark folders.
        data: The data set of the run directories, if it has moved.
        device: Device of the evaluation, as the trainer takes it.

    Returns:
        The systems in the order of the folders, with the metrics that all of them have.

    Raises:
        UserError: If a folder holds no finished run, the runs are not of the same data
            and split, one is given twice, there are less than two users, or metrics
            of single users are missing.

    Example:
        >>> load_per_user([Path("nowhere")])
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: nowhere: neither run.json nor results.jsonl is there \
- give folders that mmgraph train or mmgraph bench wrote
    """
    load = lru_cache(maxsize=2)(DataSource.load)  # runs share their data
    runs = [run for path in paths for run in _runs_of(path, data, device, load)]
    _check_same_data(runs)
    groups: dict[str, dict[int, _Run]] = {}
    for run in runs:
        setting = [run.line[name] for name in ("spec", "options", "trainer")]
        group = groups.setdefault(json.dumps(setting, sort_keys=True), {})
        seed = run.line["seed"]
        if seed in group:
            raise UserError(
                f"{run} is in {group[seed].path}, too", "give it once", path=run.path
            )
        group[seed] = run
    specs = [next(iter(group.values())).line["spec"] for group in groups.values()]
    systems = []
    for group, spec in zip(groups.values(), specs, strict=True):
        first = next(iter(group.values()))
        label = spec if specs.count(spec) == 1 else f"{spec} ({first.path})"
        systems.append(_over_seeds(label, [group[seed] for seed in sorted(group)]))
    return _common(systems)


def _runs_of(
    path: Path,
    data: str | None,
    device: str,
    load: Callable[[DataSource], tuple[Splits, str]],
) -> list[_Run]:
    if (path / RESULTS).is_file():
        return _runs_of_benchmark(path)
    if not (path / INFO).is_file():
        raise UserError(
            f"neither {INFO} nor {RESULTS} is there",
            "give folders that mmgraph train or mmgraph bench wrote",
            path=path,
        )

    def per_user() -> Mapping[str, np.ndarray]:
        loaded = load_run(path, data=data, device=device, load=load)
        return evaluate(loaded.model, loaded.splits[2], ks=CUTOFFS, per_user=True)

    return [_Run(path, finished_info(path), per_user)]


def _runs_of_benchmark(path: Path) -> list[_Run]:
    lines = read_results(path)
    lines = [
        line
        for line in lines
        if same_data(line, lines[-1]) and line["seed"] is not None
    ]
    lines = [line for line in lines if not is_floor(line)] or lines
    latest = [run["key"] for runs in latest_runs(lines).values() for run in runs]
    if not latest:
        raise UserError(
            "no run has finished",
            "go on with mmgraph bench ... --resume",
            path=path / RESULTS,
        )
    return [
        _Run(path, line, _reader(path, line)) for line in lines if line["key"] in latest
    ]


def _reader(
    path: Path, line: Mapping[str, Any]
) -> Callable[[], Mapping[str, np.ndarray]]:
    def per_user() -> Mapping[str, np.ndarray]:
        table = read_per_user(path, [line]).get(line["key"])
        if table is None:
            raise UserError(
                f"{line['spec']} seed {line['seed']} has no per_user file",
                "run the benchmark again without --resume",
                path=path,
            )
        return table

    return per_user


def _check_same_data(runs: Sequence[_Run]) -> None:
    first = runs[0]
    for run in runs[1:]:
        rules = [r.line.get("split_rule") for r in (first, run)]
        if same_data(run.line, first.line):
            continue
        what = "data or split differ"
        if None not in rules and rules[0] != rules[1]:
            what = f"split {rules[1]!r} differs from {rules[0]!r}"
        hashes = [r.line["data_sha256"][:16] for r in (run, first)]
        raise UserError(
            f"{what}: {run} has data of SHA-256 {hashes[0]}, "
            f"{first} in {first.path} of {hashes[1]}",
            "compare runs on the same data and split",
            path=run.path,
        )


def _over_seeds(label: str, runs: Sequence[_Run]) -> PerUserMetrics:
    metrics = [run.per_user() for run in runs]
    for run, values in zip(runs, metrics, strict=True):
        if not np.array_equal(values["user"], metrics[0]["user"]):
            raise UserError(
                f"{run} was measured on other users than {runs[0]}",
                "run the benchmark again without --resume",
                path=run.path,
            )
    names = [n for n in metrics[0] if n != "user" and all(n in m for m in metrics)]
    values = {name: np.stack([run[name] for run in metrics]) for name in names}
    seeds = tuple(run.line["seed"] for run in runs)
    return PerUserMetrics(label, seeds, metrics[0]["user"], values)


def _common(systems: Sequence[PerUserMetrics]) -> list[PerUserMetrics]:
    first = systems[0]
    if first.users.size < 2:
        raise UserError(
            f"{first.label} was tested on {first.users.size} user, an interval needs 2",
            "compare runs on data with more users",
        )
    for system in systems[1:]:
        if not np.array_equal(system.users, first.users):
            raise UserError(
                f"{system.label} was measured on other users than {first.label}",
                "run the benchmark again without --resume",
            )
    names = [n for n in first.values if all(n in s.values for s in systems)]
    return [
        PerUserMetrics(s.label, s.seeds, s.users, {n: s.values[n] for n in names})
        for s in systems
    ]
