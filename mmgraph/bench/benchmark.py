"""Many systems, many seeds, one folder of results that survives interruption."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from mmgraph.bench.buildable import buildable_systems
from mmgraph.bench.config import (
    canonical,
    check_settings,
    run_config,
    without_option,
)
from mmgraph.bench.experiment import Splits, check_held_out, validated_users
from mmgraph.bench.failures import MemoryShortageError
from mmgraph.bench.floors.popularity_line import popularity_line
from mmgraph.bench.floors.tuned_floors import with_floors
from mmgraph.bench.jobs.executors import Executor, SequentialExecutor
from mmgraph.bench.jobs.processes import Processes, TaskData
from mmgraph.bench.jobs.ray_tasks import RayTasks
from mmgraph.bench.jobs.task import Task, TaskResult, perform
from mmgraph.bench.jobs.task_queue import TaskQueue
from mmgraph.bench.jobs.watch import Watch, unwatched
from mmgraph.bench.parallel import jobs_for, run_threads
from mmgraph.bench.recipe import Choice, Recipe, stages
from mmgraph.bench.records import GridPoint, ResultLine, Selection
from mmgraph.bench.results_folder import (
    FIRST,
    MODELS,
    OTHERS,
    BenchFolder,
    Rival,
    read_results,
)
from mmgraph.bench.run_directory import write_run
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import ModelSpec
from mmgraph.cluster import load_ray
from mmgraph.device import resolve_device
from mmgraph.errors import UserError
from mmgraph.folders import check_output_folder
from mmgraph.lock import locked_folder
from mmgraph.models.registry import kind_of

_log = logging.getLogger(__name__)


class FailedRunsError(UserError):
    """Some runs failed; the others are done and kept.

    ``reasons`` says by run why.
    """

    reasons: Mapping[str, str]


@dataclass
class Benchmark:
    """Runs systems on one data set and keeps what they left in one folder.

    ``results.jsonl`` gets a line per finished run, ``selection.jsonl`` a line per grid
    point with its validation value, ``per_user`` the test metrics of each user, and
    ``history`` the epochs of each run; ``models`` a run directory of each, if asked.
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
        ray: Address of a Ray cluster that does the runs, in the place of ``jobs``.
        gpus: GPUs of a run there.
        threads: CPU threads of each such process.
        source: Source of the data, needed with several jobs, on a cluster and for
            models.
        keep_models: Keep a run directory of each run under ``models``.

    Raises:
        ValueError: With several jobs, a cluster, or models to keep, and no source.
    """

    splits: Splits
    data: str
    data_sha256: str
    out: Path
    device: str = "auto"
    resume: bool = False
    watch: Watch = unwatched
    jobs: int = 1
    ray: str | None = None
    gpus: float | None = None
    threads: int = 0
    source: DataSource | None = None
    keep_models: bool = False

    def __post_init__(self) -> None:
        if self.jobs > 1 and self.source is None:
            raise ValueError(f"several jobs need a source (got jobs={self.jobs})")
        if self.ray is not None and self.source is None:
            raise ValueError(f"a cluster needs a source (got ray={self.ray!r})")
        if self.keep_models and self.source is None:
            raise ValueError("models that are kept need a source (got None)")
        self._folder = BenchFolder(self.out, resume=self.resume)
        self._failed: dict[str, UserError] = {}
        self._short: dict[str, UserError] = {}

    def lines(self) -> list[ResultLine]:
        """The results so far."""
        return self._folder.lines()

    def run(
        self,
        specs: Sequence[ModelSpec],
        seeds: Sequence[int],
        *,
        settings: Mapping[str, Any] | None = None,
        recipe: Recipe | None = None,
    ) -> list[ResultLine]:
        """Run every system with every seed.

        Args:
            specs: The systems.
            seeds: The seeds; grids are decided with the first, or the first few if the
                recipe says so. Floors, which draw nothing, are run with the first.
            settings: Options that hold for all systems that have them; over a recipe.
            recipe: Options and grids per system.

        Returns:
            Popularity's line and those of these runs, in their order. The folder may
            hold more: :meth:`lines`.

        Raises:
            FailedRunsError: If runs failed, such as by a loss that is not finite or by
                data that a function of the model refuses, once all others are done;
                ``resume`` tries them again. So do points of a grid for which memory
                was short; one that diverges loses.
        """
        floor = popularity_line(
            self.splits, data=self.data, data_sha256=self.data_sha256
        )
        self._folder.add_result(floor)
        seeds_of = [_seeds_of(spec, seeds) for spec in specs]
        rounds = [
            self._rounds(spec, own, settings, recipe)
            for spec, own in zip(specs, seeds_of, strict=True)
        ]
        finished = [(key, True) for key in self._folder.done]
        finished += [(key, False) for key in self._folder.tried]
        queue = TaskQueue(rounds, finished)
        self._failed.clear()
        self._short.clear()
        with self._executor() as executor:
            self._work(queue, executor)
        order = queue.order()
        keys = [floor["key"], *(task.key for task in order if task.test)]
        self._folder.sort(keys, [task.key for task in order if not task.test])
        self._folder.drop_all()
        if self._failed:
            raise _failed_runs(self._failed, sum(map(len, seeds_of)))
        by_key = {line["key"]: line for line in self.lines()}
        return [by_key[key] for key in dict.fromkeys(keys)]

    def validated(self, key: str) -> float | None:
        """Validation metric of a grid point that was tried, None if it was not."""
        return self._folder.value(key) if key in self._folder.tried else None

    @cached_property
    def _validated_users(self) -> int:
        return validated_users(self.splits)

    def _rounds(
        self,
        spec: ModelSpec,
        seeds: Sequence[int],
        settings: Mapping[str, Any] | None,
        recipe: Recipe | None,
    ) -> Iterator[list[Task]]:
        """Stage after stage of the grid, then every seed of what was chosen."""
        choice = Choice()
        deciding = seeds[: 1 if recipe is None else recipe.selection_seeds]
        for stage in stages(spec, recipe, settings):
            runs = stage.runs(choice)
            keys = [
                tuple(run.key(seed, self.data_sha256) for seed in deciding)
                for run in runs
            ]
            if runs:
                rivals = tuple(
                    Rival(each, stage.weakness(point))
                    for each, point in zip(keys, stage.points, strict=True)
                )
                yield [
                    Task(run, seed, key, test=False, rivals=rivals)
                    for run, each in zip(runs, keys, strict=True)
                    for seed, key in zip(deciding, each, strict=True)
                ]
            try:
                values = [self._value(each) for each in keys]
                choice = stage.decide(choice, values, self._validated_users)
            except UserError as error:  # nothing can be chosen: on to other systems
                for seed in seeds:
                    self._fail(f"{spec} with seed {seed}", error)
                return
        run = run_config(spec, choice.settings)
        selection: Selection = {
            "chosen": dict(choice.chosen),
            "tried": choice.tried,
            "seeds": len(deciding),
        }
        tasks = []
        for seed in seeds:
            key = run.key(seed, self.data_sha256)
            trained = self._folder.selected(key)
            task = Task(run, seed, key, trained=trained, selection=selection)
            tasks.append(replace(task, keep=self.keep_models))
        yield tasks

    def _value(self, keys: Sequence[str]) -> float:
        for key in keys:
            if key in self._short:
                raise self._short[key]
        return self._folder.value(*keys)

    def _executor(self) -> SequentialExecutor | Processes | RayTasks:
        elsewhere = self.jobs > 1 or self.ray is not None
        if elsewhere and self.source is not None:
            # Workers elsewhere are in other folders.
            source = replace(self.source, data=self.source.location)
            data = TaskData(source, self.data_sha256, self.device, self.threads)
            if self.ray is not None:
                return RayTasks(self.ray, data, self.gpus, self.watch)
            return Processes(self.jobs, data, self.watch)
        do = partial(
            perform,
            splits=self.splits,
            data=self.data,
            data_sha256=self.data_sha256,
            device=self.device,
        )
        return SequentialExecutor(do, self.watch)

    def _work(self, queue: TaskQueue, executor: Executor) -> None:
        while True:
            while executor.has_room() and (task := queue.take()) is not None:
                executor.start(task)
            ended = executor.wait()
            if ended is None:
                return
            self._keep(*ended)
            queue.finish(ended[0])

    def _keep(self, task: Task, result: TaskResult | UserError) -> None:
        if not task.test and isinstance(result, MemoryShortageError):
            self._short[task.key] = result  # it may do another time
        elif not task.test:
            self._keep_point(task, result)
        elif isinstance(result, UserError):
            self._fail(f"{task.run.label} with seed {task.seed}", result)
        else:
            line = result.line
            if task.selection is not None:
                line = {**line, "selection": task.selection}
            if result.weights is not None and self.source is not None:
                folder = self.out / MODELS / _model_folder(task)
                rows = result.history or []
                write_run(folder, line, result.weights, rows, self.source)
            self._folder.add_result(line, result.per_user, result.history)

    def _fail(self, run: str, error: UserError) -> None:
        _log.warning("%s: %s", run, error)
        self._failed[run] = error

    def _keep_point(self, task: Task, result: TaskResult | UserError) -> None:
        point: GridPoint = {
            "spec": task.run.label,
            "options": task.run.options,
            "trainer": task.run.trainer,
            "seed": task.seed,
            "key": task.key,
            "valid_recall@20": None,
        }
        trained = None
        if isinstance(result, UserError):  # a point that diverges is one that loses
            _log.warning("%s: %s", task.run.label, result)
            point["error"] = str(result)
        else:
            point["best_epoch"] = result.line["best_epoch"]
            point["epochs"] = result.line["epochs"]
            point["valid_recall@20"] = result.line["metrics"]["valid"]["recall@20"]
            trained = result.trained
        self._folder.add_point(point, task.rivals, trained)


def _seeds_of(spec: ModelSpec, seeds: Sequence[int]) -> Sequence[int]:
    """The seeds to run a system with: all of them, but one for a floor."""
    return seeds[:1] if kind_of(spec.model) == "floor" else seeds


def _model_folder(task: Task) -> str:
    """Name of the run directory of a task: system, seed, start of its key."""
    system = replace(task.run.spec, options={})
    return f"{system}-{task.seed}-{task.key[:8]}"


def _failed_runs(failed: Mapping[str, UserError], num_runs: int) -> FailedRunsError:
    run, first = next(iter(failed.items()))
    error = FailedRunsError(
        f"{len(failed)} of {num_runs} runs failed, first {run}: {first.what}",
        first.fix,
        path=first.path,
        row=first.row,
    )
    error.reasons = {each: refusal.what for each, refusal in failed.items()}
    return error


def run_benchmark(
    specs: Sequence[ModelSpec],
    source: DataSource,
    out: str | Path,
    *,
    seeds: Sequence[int] = (999, 1000, 1001),
    settings: Mapping[str, Any] | None = None,
    recipe: Recipe | None = None,
    floors: bool = False,
    required: bool = True,
    on_left_out: Callable[[str, str], None] | None = None,
    device: str = "auto",
    resume: bool = False,
    watch: Watch = unwatched,
    jobs: int = 1,
    ray: str | None = None,
    gpus: float | None = None,
    threads: int = 0,
    keep_models: bool = False,
) -> list[ResultLine]:
    """Run every system with every seed on one data set, and keep all in one folder.

    All systems are built before the first is trained, so that a mistake shows at once.

    Args:
        specs: The systems.
        source: The data.
        out: The folder, as :class:`Benchmark` fills it.
        seeds: The seeds; grids are decided with the first, or the first few if the
            recipe says so.
        settings: Options that hold for all systems that have them; over a recipe.
        recipe: Options and grids per system. Without one, settings that suit the
            embedded catalogue hold there where ``settings`` do not say otherwise.
        floors: Add the systems without training, with a small grid each.
        required: Refuse data that a system cannot be built on; otherwise it is left
            out, with a warning.
        on_left_out: Called with the name of a system that is left out, and the reason.
        device: As the trainer takes it.
        resume: Keep the finished runs of the folder and skip them.
        watch: Shows progress.
        jobs: Runs at once, each in a process of its own; 0: as many as suit the data.
        ray: Address of a Ray cluster that does the runs, in the place of ``jobs``.
        gpus: GPUs of a run there; a share of one, too.
        threads: CPU threads of each run; 0: as many as suit the data.
        keep_models: Keep a run directory of each run under ``models``. Runs that were
            finished before, and are skipped, get none.

    Returns:
        The lines of results of these runs.

    Raises:
        UserError: If a name, an option or the data will not do, no system is left, or
            another process writes into the folder.
        FailedRunsError: If runs failed, once all others are done.
    """
    if ray is not None:
        load_ray()
    check_output_folder(Path(out), first=FIRST, others=OTHERS)
    specs = [canonical(spec) for spec in specs]
    settings = settings or {}
    check_settings(settings, specs)
    for name, lacking in without_option(settings, specs).items():
        names = ", ".join(lacking)
        _log.warning("%s is no option of %s and is left out there", name, names)
    if recipe is None:
        settings = {**source.default_settings, **settings}
    before = {line["data_sha256"] for line in read_results(Path(out))} if resume else ()
    source, (splits, sha256) = source.load_for(
        [spec.model for spec in specs], lambda sha256: not before or sha256 in before
    )
    check_held_out(splits)
    accepted, reasons = buildable_systems(
        specs, splits[0], settings=settings, recipe=recipe, required=required
    )
    runs = sum(len(_seeds_of(spec, seeds)) for spec in accepted)
    for name, reason in reasons.items():
        if on_left_out is not None:
            on_left_out(name, reason)
    if not accepted:
        raise UserError(
            f"the data suit none of {', '.join(map(str, specs))}",
            "choose other systems, or add features",
            path=source.location,
        )
    train = splits[0]
    if floors:
        accepted, recipe = with_floors(accepted, recipe, train)
    with locked_folder(Path(out)), run_threads(train, device, threads) as threads:
        on_cpu = resolve_device(device).type == "cpu"
        jobs = jobs or (jobs_for(train, runs, threads) if on_cpu else 1)
        benchmark = Benchmark(
            splits,
            source.name,
            sha256,
            Path(out),
            device=device,
            resume=resume,
            watch=watch,
            jobs=jobs,
            ray=ray,
            gpus=gpus,
            threads=threads,
            source=source,
            keep_models=keep_models,
        )
        return benchmark.run(accepted, seeds, settings=settings, recipe=recipe)
