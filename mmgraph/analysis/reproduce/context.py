"""Data, options and trained runs of an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import HeteroData

from mmgraph.analysis.leaderboard.published import recognise
from mmgraph.bench.benchmark import Benchmark
from mmgraph.bench.buildable import buildable
from mmgraph.bench.config import RunConfig, canonical, run_config
from mmgraph.bench.experiment import Splits, build, validated_users
from mmgraph.bench.floors.tuned_floors import floor_systems, with_floors
from mmgraph.bench.jobs.watch import Watch, unwatched
from mmgraph.bench.recipe import Recipe, System, choose, fixed_options
from mmgraph.bench.records import RunInfo
from mmgraph.bench.results_folder import read_histories, read_per_user
from mmgraph.bench.run_directory import HISTORY, load_run
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import ModelSpec, parse_spec
from mmgraph.bench.training import train_run
from mmgraph.errors import UserError
from mmgraph.files import read_json_lines
from mmgraph.models.base import Recommender
from mmgraph.schema import INTERACTS, ITEM, USER, feature_key, modalities

#: The system of the control, unless another is named.
DEFAULT_MODEL = "CLEAR"


@dataclass
class Trained:
    """A trained model on the CPU, the same before its first step, line and history."""

    model: Recommender
    untrained: Recommender
    line: RunInfo
    history: list[dict[str, Any]]


@dataclass
class ExperimentContext:
    """Data, options and trained runs of one experiment.

    Everything trained is kept in ``runs`` and found again, so that an experiment that
    was interrupted goes on where it was, and none trains what another did.

    Args:
        source: The source of the data.
        splits: Train, validation and test.
        data_sha256: Their fingerprint.
        folder: The experiment's own.
        runs: Folder of all that is trained, for any experiment or by ``mmgraph bench``.
        seeds: Seeds of the tables; figures of one model use the first.
        settings: Options that hold for all systems that have them.
        recipe: Options and grids per system.
        grid: Values that the experiment goes through, by name.
        device: As the trainer takes it.
        threads: CPU threads; 0: as many as suit the data.
        ray: Address of a Ray cluster that does the runs of tables.
        gpus: GPUs of a run there.
        watch: Shows progress; nothing by default.
        epochs: Epochs that the user gave, for experiments that train fewer by default.
        fidelity: ``"released"``: systems of others run as their public code,
            which made the published rows; ``"paper"``: all as their papers.
        model: The system of the control.
        command: The command that asks for it, to be told in the report.
    """

    source: DataSource
    splits: Splits
    data_sha256: str
    folder: Path
    runs: Path
    seeds: Sequence[int]
    watch: Watch = unwatched
    settings: Mapping[str, Any] = field(default_factory=dict)
    recipe: Recipe | None = None
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    device: str = "auto"
    threads: int = 0
    ray: str | None = None
    gpus: float | None = None
    epochs: int | None = None
    fidelity: str = "released"
    model: str = DEFAULT_MODEL
    command: str | None = None

    @property
    def train(self) -> HeteroData:
        """The training split, on the CPU."""
        return self.splits[0]

    @property
    def modalities(self) -> list[str]:
        """Names of the item modalities."""
        return modalities(self.train)

    @property
    def dims(self) -> dict[str, int]:
        """Columns of each modality's features."""
        store = self.train[ITEM]
        return {m: int(store[feature_key(m)].size(1)) for m in self.modalities}

    @cached_property
    def dataset(self) -> str | None:
        """Name of the papers' data set, if these data are one of them."""
        pairs = sum(split[INTERACTS].edge_label_index.size(1) for split in self.splits)
        return recognise(self.train[USER].num_nodes, self.train[ITEM].num_nodes, pairs)

    def require_modalities(self, least: int = 2) -> None:
        """Refuse data with fewer modalities.

        Raises:
            UserError: If there are fewer.
        """
        if len(self.modalities) < least:
            raise UserError(
                f"this experiment compares modalities and {self.source.name} has "
                f"{len(self.modalities)}",
                f"use data with {least} modalities or more",
            )

    def as_asked(self, names: Sequence[str]) -> list[str]:
        """Systems in the fidelity that is asked for, each once."""
        if self.fidelity == "released":
            return list(names)
        specs = (replace(parse_spec(name), fidelity=self.fidelity) for name in names)
        return list(dict.fromkeys(str(spec) for spec in specs))

    # Many runs: tables ----------------------------------------------------------

    def buildable(
        self, names: Sequence[str], *, required: bool = False
    ) -> tuple[list[ModelSpec], list[str]]:
        """The systems that can be built on these data, and a reason for each other one.

        All are built before the first is trained, so that a mistake shows at once.

        Raises:
            UserError: If the settings or the recipe are at fault; with ``required``, if
                one cannot be built.
        """
        specs = [canonical(parse_spec(name)) for name in names]
        runs = [run_config(spec, self._fixed_options(spec)) for spec in specs]
        runs, reasons = buildable(runs, self.train, required=required, fixed_specs=True)
        missing = [f"{label} is left out: {why}." for label, why in reasons.items()]
        return [run.spec for run in runs], missing

    def bench(
        self,
        specs: Sequence[ModelSpec],
        *,
        settings: Mapping[str, Any] | None = None,
        search: bool = True,
    ) -> list[dict[str, Any]]:
        """Lines of results of these systems, a line per seed, in the order given.

        Args:
            specs: The systems.
            settings: More settings, over those of the context.
            search: Search the recipe's grids; otherwise its fixed options alone hold.
        """
        recipe = self.recipe
        if recipe is not None and not search:
            plain = {name: System(s.options) for name, s in recipe.systems.items()}
            recipe = replace(recipe, systems=plain)
        lines = self._benchmark.run(
            specs,
            self.seeds,
            settings={**self.settings, **(settings or {})},
            recipe=recipe,
        )
        order = {str(spec): n for n, spec in enumerate(specs)}
        own: list[Any] = [line for line in lines if line["spec"] in order]
        return sorted(own, key=lambda line: order[line["spec"]])

    def floors(self) -> list[dict[str, Any]]:
        """Lines of results of the floors, the one of popularity first."""
        every = [spec for spec, _ in floor_systems(self.modalities)]
        _, recipe = with_floors(every, self.recipe, self.train)
        lines: list[Any] = self._benchmark.run(
            every, self.seeds, settings=self.settings, recipe=recipe
        )
        return lines

    def per_user(self, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Test metrics of each user by key of the run."""
        return read_per_user(self.runs, lines)

    def histories(
        self, lines: Sequence[Mapping[str, Any]]
    ) -> dict[str, list[dict[str, Any]]]:
        """Rows of the training history by key of the run."""
        return read_histories(self.runs, lines)

    @cached_property
    def _benchmark(self) -> Benchmark:
        return Benchmark(
            self.splits,
            self.source.name,
            self.data_sha256,
            self.runs,
            device=self.device,
            resume=True,
            watch=self.watch,
            ray=self.ray,
            gpus=self.gpus,
            threads=torch.get_num_threads(),
            source=self.source,
        )

    # One run: figures of what a model has learned -------------------------------

    def fit(self, name: str) -> Trained:
        """A system trained with the first seed.

        The recipe's grid is decided on validation, and the chosen point loaded. Each
        point that no table has tried is a run directory.

        Raises:
            UserError: If the system cannot be built on these data.
        """
        spec = canonical(parse_spec(name))
        if self.recipe is None:
            run = run_config(spec, self.settings)
        else:
            choice = choose(
                spec,
                self.recipe,
                partial(self._valid, self.seeds[: self.recipe.selection_seeds]),
                fixed=self.settings,
                users=validated_users(self.splits),
            )
            run = run_config(spec, choice.settings)
        line = self._fitted(run)
        folder = self._run_folder(run)
        model = load_run(folder, data=self.source.location).model.cpu().eval()
        torch.manual_seed(self.seeds[0])
        untrained = build(run, self.train).eval()
        return Trained(model, untrained, line, read_json_lines(folder / HISTORY))

    def _valid(self, seeds: Sequence[int], run: RunConfig) -> float:
        values = []
        for seed in seeds:
            value = self._benchmark.validated(run.key(seed, self.data_sha256))
            if value is None:
                line = self._fitted(run, seed)
                value = line["metrics"]["valid"]["recall@20"]
            values.append(value)
        return sum(values) / len(values)

    def _fitted(self, run: RunConfig, seed: int | None = None) -> RunInfo:
        seed = self.seeds[0] if seed is None else seed
        return train_run(
            run,
            self.source,
            self._run_folder(run, seed),
            seed=seed,
            device=self.device,
            test=False,
            resume=True,
            threads=self.threads,
            watch=self.watch,
            loaded=(self.splits, self.data_sha256),
        )

    def _run_folder(self, run: RunConfig, seed: int | None = None) -> Path:
        seed = self.seeds[0] if seed is None else seed
        return self.runs / "models" / run.key(seed, self.data_sha256)[:16]

    def _fixed_options(self, spec: ModelSpec) -> dict[str, Any]:
        return fixed_options(spec, self.recipe, self.settings)
