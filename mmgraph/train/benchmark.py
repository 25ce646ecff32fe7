"""Many systems, many seeds, one folder of results that survives interruption."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmgraph.errors import UserError
from mmgraph.train.experiment import (
    Experiment,
    Splits,
    popularity_line,
    run_experiment,
)
from mmgraph.train.files import append_json_line, read_json_lines, write_atomic
from mmgraph.train.recipe import Choice, Recipe, choose
from mmgraph.train.resolve import Resolved, resolve
from mmgraph.train.spec import ModelSpec

RESULTS, SELECTION, PER_USER = "results.jsonl", "selection.jsonl", "per_user"
VALID = "valid_recall@20"

_log = logging.getLogger(__name__)

#: Called with label, seed and the epochs to come at most; gives the epoch callback.
Watch = Callable[
    [str, int, int], AbstractContextManager[Callable[[dict[str, Any]], None] | None]
]


def _unwatched(label: str, seed: int, epochs: int) -> AbstractContextManager[None]:
    return nullcontext()


def read_per_user(
    out: Path, lines: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, np.ndarray]]:
    """Test metrics of each user by key of the run, where they were kept.

    Example:
        >>> read_per_user(Path("nowhere"), [{"key": "a"}])
        {}
    """
    paths = {line["key"]: out / PER_USER / f"{line['key']}.npz" for line in lines}
    tables = {}
    for key, path in paths.items():
        if path.exists():
            with np.load(path, allow_pickle=False) as table:
                tables[key] = {name: table[name] for name in table.files}
    return tables


@dataclass
class Benchmark:
    """Runs systems on one data set and keeps what they left in one folder.

    ``results.jsonl`` gets a line per finished run, ``selection.jsonl`` a line per grid
    point with its validation value, and ``per_user`` the test metrics of each user.

    Args:
        splits: Train, validation and test.
        data: Name of the data set.
        data_sha256: Its fingerprint.
        out: The folder.
        device: As the trainer takes it.
        resume: Keep the finished runs of the folder and skip them. Otherwise they are
            moved aside to ``*.previous``.
        watch: Shows progress.
    """

    splits: Splits
    data: str
    data_sha256: str
    out: Path
    device: str = "auto"
    resume: bool = False
    watch: Watch = field(default=_unwatched)

    def __post_init__(self) -> None:
        if not self.resume:
            for name in (RESULTS, SELECTION):
                if (self.out / name).exists():
                    os.replace(self.out / name, self.out / f"{name}.previous")
        self._done = {line["key"] for line in self.lines()}
        tried = read_json_lines(self.out / SELECTION)
        self._tried = {line["key"]: line[VALID] for line in tried}

    def lines(self) -> list[dict[str, Any]]:
        """The results so far."""
        return read_json_lines(self.out / RESULTS)

    def run(
        self,
        specs: Sequence[ModelSpec],
        seeds: Sequence[int],
        *,
        settings: Mapping[str, Any] | None = None,
        recipe: Recipe | None = None,
    ) -> list[dict[str, Any]]:
        """Run every system with every seed.

        Args:
            specs: The systems.
            seeds: The seeds; grids are decided with the first.
            settings: Options that hold for all systems that have them; over a recipe.
            recipe: Options and grids per system.

        Returns:
            All lines of the folder, also those of earlier calls.
        """
        floor = popularity_line(
            self.splits, data=self.data, data_sha256=self.data_sha256
        )
        self._keep(floor)
        for spec in specs:
            choice = Choice(settings or {})
            if recipe is not None:
                choice = choose(
                    spec,
                    recipe,
                    lambda run: self._validate(run, seeds[0]),
                    fixed=settings,
                )
            run = resolve(spec, choice.settings)
            for seed in seeds:
                if run.key(seed, self.data_sha256) not in self._done:
                    experiment = self._train(run, seed, test=True)
                    selected = {"chosen": choice.chosen, "tried": choice.tried}
                    self._save_users(experiment)
                    self._keep({**experiment.line, "selection": selected})
        return self.lines()

    def _train(self, run: Resolved, seed: int, *, test: bool) -> Experiment:
        epochs = run.trainer["epochs"]
        with self.watch(run.label, seed, epochs) as on_epoch:
            return run_experiment(
                run,
                self.splits,
                data=self.data,
                data_sha256=self.data_sha256,
                seed=seed,
                device=self.device,
                test=test,
                on_epoch=on_epoch,
            )

    def _validate(self, run: Resolved, seed: int) -> float:
        """Validation recall@20 of a grid point; test is not computed."""
        key = run.key(seed, self.data_sha256)
        if key not in self._tried:
            point: dict[str, Any] = {
                "spec": run.label,
                "options": run.options,
                "trainer": run.trainer,
                "seed": seed,
                "key": key,
            }
            try:
                line = self._train(run, seed, test=False).line
                value = line["metrics"]["valid"]["recall@20"]
                point |= {name: line[name] for name in ("best_epoch", "epochs")}
            except UserError as error:  # a point that diverges is a point that loses
                _log.warning("%s: %s", run.label, error)
                value = None
                point["error"] = str(error)
            append_json_line(self.out / SELECTION, {**point, VALID: value})
            self._tried[key] = value
        value = self._tried[key]
        return float("-inf") if value is None else value

    def _keep(self, line: dict[str, Any]) -> None:
        if line["key"] not in self._done:
            append_json_line(self.out / RESULTS, line)
            self._done.add(line["key"])

    def _save_users(self, experiment: Experiment) -> None:
        if experiment.per_user is None:
            return
        kept = ("user", "recall@20", "ndcg@20")
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {k: experiment.per_user[k] for k in kept}
        np.savez_compressed(buffer, **arrays)
        path = self.out / PER_USER / f"{experiment.line['key']}.npz"
        write_atomic(path, buffer.getvalue())
