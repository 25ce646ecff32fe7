"""Many systems, many seeds, one folder of results that survives interruption."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mmgraph.bench.config import Resolved, resolve
from mmgraph.bench.executors import OneByOne, Watch, Workers, unwatched
from mmgraph.bench.experiment import Splits, popularity_line
from mmgraph.bench.processes import Processes, Site
from mmgraph.bench.recipe import Choice, Recipe, search
from mmgraph.bench.results_folder import (
    VALID,
    BenchFolder,
    read_histories,
    read_per_user,
)
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import ModelSpec
from mmgraph.bench.task import Outcome, Task, perform
from mmgraph.bench.task_queue import Agenda
from mmgraph.errors import UserError

__all__ = ["Benchmark", "FailedRunsError", "Watch", "read_histories", "read_per_user"]

_log = logging.getLogger(__name__)


class FailedRunsError(UserError):
    """Some runs failed; the others are done and kept."""


@dataclass
class Benchmark:
    """Runs systems on one data set and keeps what they left in one folder.

    ``results.jsonl`` gets a line per finished run, ``selection.jsonl`` a line per grid
    point with its validation value, ``per_user`` the test metrics of each user, and
    ``history`` the epochs of each run.
    The grid point that is chosen is not trained again for its line of results: its
    parameters are kept until then, and test is computed from them.

    Args:
        splits: Train, validation and test.
        data: Name of the data set.
        data_sha256: Its fingerprint.
        out: The folder.
        device: As the trainer takes it.
        resume: Keep the finished runs of the folder and skip them. Otherwise they are
            moved aside to ``*.previous``.
        watch: Shows progress.
        jobs: Runs at once, each in a process of its own; their results do not depend
            on it. Files are written by this process alone.
        threads: CPU threads of each such process; 0 leaves torch's choice.
        source: Where the processes read the data, needed with several jobs.

    Raises:
        ValueError: If several jobs are wanted without a source.
    """

    splits: Splits
    data: str
    data_sha256: str
    out: Path
    device: str = "auto"
    resume: bool = False
    watch: Watch = unwatched
    jobs: int = 1
    threads: int = 0
    source: DataSource | None = None

    def __post_init__(self) -> None:
        if self.jobs > 1 and self.source is None:
            raise ValueError(f"several jobs need a source (got jobs={self.jobs})")
        self._folder = BenchFolder(self.out, resume=self.resume)
        self._failed: list[tuple[Task, UserError]] = []

    def lines(self) -> list[dict[str, Any]]:
        """The results so far."""
        return self._folder.lines()

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
            Popularity's line and those of these runs, in their order. The folder may
            hold more: :meth:`lines`.

        Raises:
            FailedRunsError: If runs failed, such as by a loss that is not finite, once
                all others are done; ``resume`` tries them again.
        """
        floor = popularity_line(
            self.splits, data=self.data, data_sha256=self.data_sha256
        )
        self._folder.add_result(floor)
        rounds = [self._rounds(spec, seeds, settings, recipe) for spec in specs]
        finished = [(key, True) for key in self._folder.done]
        finished += [(key, False) for key in self._folder.tried]
        agenda = Agenda(rounds, finished)
        self._failed.clear()
        with self._workers() as workers:
            self._work(agenda, workers)
        order = agenda.order()
        wanted = [floor["key"], *(task.key for task in order if task.test)]
        self._folder.sort(wanted, [task.key for task in order if not task.test])
        self._folder.drop_all()
        if self._failed:
            task, error = self._failed[0]
            raise FailedRunsError(
                f"{len(self._failed)} of {sum(task.test for task in order)} runs "
                f"failed, first {task.run.label} with seed {task.seed}: {error.what}",
                error.fix,
                path=error.path,
                row=error.row,
            )
        found = {line["key"]: line for line in self.lines()}
        return [found[key] for key in dict.fromkeys(wanted)]

    def validated(self, key: str) -> float | None:
        """Validation metric of a grid point that was tried, None if it was not."""
        return self._folder.value(key) if key in self._folder.tried else None

    def _rounds(
        self,
        spec: ModelSpec,
        seeds: Sequence[int],
        settings: Mapping[str, Any] | None,
        recipe: Recipe | None,
    ) -> Generator[list[Task], None, None]:
        """Stage after stage of the grid, then every seed of what was chosen."""
        choice = Choice(settings or {})
        if recipe is not None:
            steps = search(spec, recipe, fixed=settings)
            choice = yield from self._select(steps, seeds[0])
        run = resolve(spec, choice.settings)
        selection = {"chosen": choice.chosen, "tried": choice.tried}
        tasks = []
        for seed in seeds:
            key = run.key(seed, self.data_sha256)
            trained = self._folder.selected(key)
            tasks.append(Task(run, seed, key, trained=trained, selection=selection))
        yield tasks

    def _select(
        self, steps: Generator[list[Resolved], list[float], Choice], seed: int
    ) -> Generator[list[Task], None, Choice]:
        try:
            points = next(steps)
            while True:
                keys = tuple(point.key(seed, self.data_sha256) for point in points)
                yield [
                    Task(point, seed, key, test=False, rivals=keys)
                    for point, key in zip(points, keys, strict=True)
                ]
                points = steps.send([self._folder.value(key) for key in keys])
        except StopIteration as end:
            choice: Choice = end.value
            return choice

    def _workers(self) -> OneByOne | Processes:
        if self.jobs > 1 and self.source is not None:
            site = Site(self.source, self.data_sha256, self.device, self.threads)
            return Processes(self.jobs, site, self.watch)
        do = partial(
            perform,
            splits=self.splits,
            data=self.data,
            data_sha256=self.data_sha256,
            device=self.device,
        )
        return OneByOne(do, self.watch)

    def _work(self, agenda: Agenda, workers: Workers) -> None:
        while True:
            while workers.has_room() and (task := agenda.take()) is not None:
                workers.start(task)
            ended = workers.wait()
            if ended is None:
                return
            self._keep(*ended)
            agenda.finish(ended[0])

    def _keep(self, task: Task, result: Outcome | UserError) -> None:
        if not task.test:
            self._keep_point(task, result)
        elif isinstance(result, UserError):
            _log.warning("%s, seed %d: %s", task.run.label, task.seed, result)
            self._failed.append((task, result))
        else:
            line = {**result.line, "selection": task.selection}
            self._folder.add_result(line, result.per_user, result.history)

    def _keep_point(self, task: Task, result: Outcome | UserError) -> None:
        point: dict[str, Any] = {
            "spec": task.run.label,
            "options": task.run.options,
            "trainer": task.run.trainer,
            "seed": task.seed,
            "key": task.key,
        }
        trained = value = None
        if isinstance(result, UserError):  # a point that diverges is one that loses
            _log.warning("%s: %s", task.run.label, result)
            point["error"] = str(result)
        else:
            point |= {name: result.line[name] for name in ("best_epoch", "epochs")}
            value = result.line["metrics"]["valid"]["recall@20"]
            trained = result.trained
        self._folder.add_point({**point, VALID: value}, task.rivals, trained)
