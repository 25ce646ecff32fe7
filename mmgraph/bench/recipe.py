"""Recipes: options, small grids, and the choice among them on validation only."""

from __future__ import annotations

import itertools
import math
import re
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmgraph.bench.config import (
    RunConfig,
    canonical,
    check_settings,
    check_values,
    run_config,
)
from mmgraph.bench.spec import (
    FIDELITIES,
    ModelSpec,
    check_names,
    check_sizes,
    parse_spec,
)
from mmgraph.bench.systems import check_system
from mmgraph.errors import UserError
from mmgraph.models.registry import resolve_model
from mmgraph.options import fits

Grid = Mapping[str, list[Any]]
_MOST_BYTES = 1_000_000
_SHIPPED = Path(__file__).with_name("recipes")


@dataclass(frozen=True)
class System:
    """The entry of one system: fixed options, then grids, stage by stage.

    ``mechanism`` names options that grow with what the system adds to its base: of
    points that tie on validation, the weakest is chosen. ``starts_anew`` is True of a
    variant whose search does not start from what was chosen for its base.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    grid: list[Grid] = field(default_factory=list)
    mechanism: Sequence[str] = ()
    starts_anew: bool = False


@dataclass(frozen=True)
class Recipe:
    """The content of a recipe file; the keys of ``systems`` are canonical specs.

    ``path`` is the file, for messages; it says nothing about the content. A grid is
    decided with the first ``selection_seeds`` of the seeds.
    """

    models: list[ModelSpec]
    defaults: Mapping[str, Any]
    systems: Mapping[str, System]
    path: Path | None = field(default=None, compare=False)
    selection_seeds: int = 1

    def table_of(self, spec: ModelSpec) -> System | None:
        """The table of a system, or that of its other fidelity; None without either.

        Of another fidelity, options are left out whose values mean something else
        there (:attr:`~mmgraph.models.base.Recommender.rescaled`).

        Example:
            >>> systems = {"VBPR": System(grid=[{"reg_weight": [1, 2], "lr": [1, 2]}])}
            >>> recipe = Recipe([], {}, systems)
            >>> recipe.table_of(ModelSpec("VBPR", fidelity="released")).grid
            [{'lr': [1, 2]}]
        """
        if str(spec) in self.systems:
            return self.systems[str(spec)]
        for fidelity in FIDELITIES:
            other = self.systems.get(str(replace(spec, fidelity=fidelity)))
            if other is not None:
                return _without(other, resolve_model(spec.model)[1].rescaled)
        return None


def _without(system: System, names: Sequence[str]) -> System:
    options = {k: v for k, v in system.options.items() if k not in names}
    grid = [{k: v for k, v in g.items() if k not in names} for g in system.grid]
    return replace(system, options=options, grid=[stage for stage in grid if stage])


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the package.

    Example:
        >>> "baby" in shipped_recipes()
        True
    """
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def recipe_file(name: str | Path) -> Path:
    """The file of a recipe.

    Args:
        name: A path, or one of :func:`shipped_recipes`; a file of that name in the
            working folder goes first.

    Example:
        >>> recipe_file("baby").name, recipe_file("mine.toml")
        ('baby.toml', PosixPath('mine.toml'))
    """
    path = Path(name)
    if str(name) in shipped_recipes() and not path.is_file():
        return _SHIPPED / f"{name}.toml"
    return path


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe.

    Args:
        path: One of :func:`shipped_recipes`, or a TOML file with ``models`` (a list of
            specs), ``[defaults]`` (options for all) and ``[system."SPEC"]`` tables with
            ``options``, ``grid`` and ``mechanism``; ``grid`` is one table, or a list of
            tables that are searched one after the other. ``base`` names a recipe beside
            it: ``models`` are added to its own, and its defaults and tables hold where
            this one has none.

    Raises:
        UserError: If the file is not TOML, names something that does not exist or no
            data could make right, has a value of a wrong type, or two tables for one
            system.
    """
    return _load(recipe_file(path), ())


def _load(path: Path, above: tuple[Path, ...]) -> Recipe:
    """The recipe of a file, on its bases; ``above`` are the files that led to it."""
    with _in_file(path):
        if path.resolve() in above:
            raise UserError("is its own base", "name another")
        fix = f"check the path, or name one of {', '.join(shipped_recipes())}"
        content = read_toml(path, "recipe", fix)
        name = content.pop("base", None)
        if name is not None and not isinstance(name, str):
            raise UserError(
                f"base is not a name (got {name!r})", 'write base = "other.toml"'
            )
    base = Recipe([], {}, {})
    if name is not None:
        base = _load(path.parent / name, (*above, path.resolve()))
    with _in_file(path):
        return replace(_build(content, base), path=path)


@contextmanager
def _in_file(path: Path) -> Iterator[None]:
    """Errors name the file that they are about."""
    try:
        yield
    except UserError as error:
        raise UserError(error.what, error.fix, path=path, row=error.row) from error


def read_toml(
    path: Path, what: str = "file", fix: str = "check the path"
) -> dict[str, Any]:
    """Read a small TOML file.

    Args:
        path: The file.
        what: What it is to be, for the message where there is none.
        fix: What to do then.

    Raises:
        UserError: If it is no file, too large, or not TOML; the line is named.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # a path may hold no NUL
        raise UserError(f"no such {what}", fix) from error
    if not stat.S_ISREG(status.st_mode):
        raise UserError("not a file", "give a TOML file")
    if status.st_size > _MOST_BYTES:
        raise UserError(
            f"{status.st_size:,} bytes are no {what}",
            "give a TOML file of at most 1 MB",
        )
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise UserError("not UTF-8 text", "save it as UTF-8") from error
    except RecursionError as error:
        raise UserError(
            "lists or tables too deep in each other", "flatten it"
        ) from error
    except ValueError as error:
        raise _syntax_error(str(error)) from error


def _syntax_error(reason: str) -> UserError:
    """The error about a text that is not TOML, with the line where the parser has it.

    Example:
        >>> _syntax_error("Invalid value (at line 2, column 10)").row
        2
    """
    match = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", reason, re.DOTALL)
    if reason.startswith("Exceeds the limit"):
        return UserError("an integer has too many digits", "write a smaller number")
    if match is None:
        return UserError(f"not TOML ({reason})", "correct it")
    return UserError(
        f"not TOML at column {match[3]} ({match[1]})", "correct it", row=int(match[2])
    )


def _build(content: dict[str, Any], base: Recipe) -> Recipe:
    known = ["base", "models", "selection_seeds", "defaults", "system"]
    check_names(content, known, "table")
    check_sizes(content)
    seeds = content.get("selection_seeds", base.selection_seeds)
    if not fits(seeds, int) or seeds < 1:
        raise UserError(
            f"selection_seeds is no number of seeds (got {seeds!r})", "write 1 or more"
        )
    names = content.get("models", [])
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise UserError(
            f"models is not a list of names (got {names!r})", 'write models = ["VBPR"]'
        )
    with _under("models"):
        models = [_spec(name) for name in names]
    systems, named = {}, {}
    for name, table in _table(content.get("system", {}), "system").items():
        with _under(f"system {name!r}"):
            spec = _spec(name)
            if str(spec) in systems:
                raise UserError("it has two tables", "make them one")
            systems[str(spec)] = _system(spec, _table(table, "it"))
            named[str(spec)] = spec
    defaults = _table(content.get("defaults", {}), "defaults")
    with _under("defaults"):
        _check(defaults, [*models, *base.models, *named.values()])
    return Recipe(
        [*base.models, *(spec for spec in models if spec not in base.models)],
        {**base.defaults, **defaults},
        {**base.systems, **systems},
        selection_seeds=seeds,
    )


@contextmanager
def _under(key: str) -> Iterator[None]:
    """Errors name the key of the recipe that they are about."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{key}: {error.what}", error.fix) from error


def _system(spec: ModelSpec, table: dict[str, Any]) -> System:
    check_names(table, ["options", "grid", "mechanism", "source"], "key")
    grid = table.get("grid", [])
    stages = grid if isinstance(grid, list) else [grid]
    for stage in stages:
        for key, values in _table(stage, "grid").items():
            if not isinstance(values, list) or not values:
                raise UserError(f"grid: {key} is not a list", "write [a, b]")
            with _under("grid"):
                for value in values:
                    _check({key: value}, [spec])
    options = _table(table.get("options", {}), "options")
    with _under("options"):
        _check(options, [spec])
    mechanism = _mechanism(table.get("mechanism", []), stages)
    return System(options, stages, tuple(mechanism))


def _mechanism(names: Any, stages: Sequence[Grid]) -> list[str]:
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise UserError(
            f"mechanism is not a list of names (got {names!r})", 'write ["strength"]'
        )
    values = {key: value for stage in stages for key, value in stage.items()}
    with _under("mechanism"):
        check_names(names, values, "option of the grid")
    for name in names:
        if not all(fits(value, float) for value in values[name]):
            raise UserError(
                f"mechanism: {name} has values that are no numbers", "leave it out"
            )
    return names


def _spec(name: str) -> ModelSpec:
    spec = canonical(parse_spec(name))
    check_values(spec.options, [spec])
    check_system(spec)
    return spec


def _check(settings: Mapping[str, Any], specs: Sequence[ModelSpec]) -> None:
    check_settings(settings, specs)
    check_values(settings, specs)


def _table(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{what} is not a table (got {value!r})", "write key = value")
    return value


@dataclass(frozen=True)
class Choice:
    """Settings of a system, and which of them were chosen among how many points."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    chosen: Mapping[str, Any] = field(default_factory=dict)
    tried: int = 0


@dataclass(frozen=True)
class Stage:
    """One step of a search: options that hold from here on, then points to try.

    The points of one stage do not depend on each other, so they may be trained at once.

    Args:
        spec: The system.
        options: Options that hold from here on.
        points: Settings to choose from; a single one is taken as it is.
        mechanism: Options that grow with the system's mechanism.
    """

    spec: ModelSpec
    options: Mapping[str, Any]
    points: Sequence[Mapping[str, Any]]
    mechanism: Sequence[str] = ()

    def runs(self, choice: Choice) -> list[RunConfig]:
        """Runs to compare, given what was chosen before; none where there is no choice.

        Example:
            >>> stage = Stage(ModelSpec("VBPR"), {"lr": 0.1}, [{"epochs": 1}])
            >>> stage.runs(Choice()), stage.decide(Choice(), []).settings
            ([], {'lr': 0.1, 'epochs': 1})
        """
        if len(self.points) == 1:
            return []
        held = {**choice.settings, **self.options}
        return [run_config(self.spec, {**held, **point}) for point in self.points]

    def weakness(self, point: Mapping[str, Any]) -> tuple[float, ...]:
        """Sizes of a point's mechanism; of two points, the smaller is the weaker.

        Example:
            >>> stage = Stage(ModelSpec("CLEAR"), {}, [], ["strength", "rank"])
            >>> stage.weakness({"rank": 4, "strength": 0.5, "lr": 0.1})
            (0.5, 4)
        """
        return tuple(point[name] for name in self.mechanism if name in point)

    def decide(self, choice: Choice, values: Sequence[float], users: int = 0) -> Choice:
        r"""The choice with the best point of this stage; of equal ones, the first.

        Of points within one standard error of the best, the one with the weakest
        mechanism. The error of a mean :math:`p` of ratios over :math:`n` users is at
        most :math:`\sqrt{p (1 - p) / n}`, and that where each has one positive.

        Args:
            choice: Earlier choices.
            values: Validation metric of each of the :meth:`runs`, minus infinity where
                training diverged.
            users: Users that were validated on; without them only equal values tie.

        Raises:
            UserError: If no point could be trained.
        """
        if values and max(values) == float("-inf"):
            raise UserError(
                f"no point of the grid of {self.spec} could be trained",
                "see the errors in selection.jsonl and mend the grid",
            )
        best = self.points[self._best(values, users) if values else 0]
        settings = {**choice.settings, **self.options, **best}
        chosen = {**choice.chosen, **best} if values else choice.chosen
        # A variant's own options win over what a grid chose for its base.
        kept = {
            key: value
            for key, value in chosen.items()
            if settings[key] == value and key not in self.spec.options
        }
        return Choice(settings, kept, choice.tried + len(values))

    def _best(self, values: Sequence[float], users: int) -> int:
        top = max(values)
        error = math.sqrt(top * (1 - top) / users) if users and self.mechanism else 0.0
        tied = [n for n, value in enumerate(values) if value >= top - error]
        return min(tied, key=lambda n: (self.weakness(self.points[n]), -values[n]))


def stages(
    spec: ModelSpec, recipe: Recipe | None, fixed: Mapping[str, Any] | None = None
) -> list[Stage]:
    """The search for the settings of a system, stage by stage.

    A system starts from the choice of the nearest one it is a variant of
    (``VBPR+CLEAR`` from ``VBPR``, ``CLEAR:strength=0`` from ``CLEAR``), so that the two
    differ in nothing but what the variant names. Then come its own options, then each
    stage of its own grid. Each fidelity is searched by itself, by the table of the
    other where it has none (:meth:`Recipe.table_of`).

    Args:
        spec: The system.
        recipe: The recipe, if there is one.
        fixed: Options that no grid may touch, such as those of the command line.

    Example:
        >>> system = System({"lr": 0.1}, [{"num_layers": [1, 2, 3]}])
        >>> recipe = Recipe([], {"epochs": 5}, {"LightGCN": system})
        >>> options, grid = stages(ModelSpec("LightGCN"), recipe)
        >>> options.options, grid.points
        ({'epochs': 5, 'lr': 0.1}, [{'num_layers': 1}, {'num_layers': 2}, \
{'num_layers': 3}])
    """
    fixed = fixed or {}
    if recipe is None:
        return [Stage(spec, fixed, [{}])]
    parents = [base for base in _bases(spec, recipe) if recipe.table_of(base)]
    before = stages(parents[0], recipe, fixed) if parents else []
    system = recipe.table_of(spec) or System()
    defaults = {} if parents else recipe.defaults
    own = Stage(spec, {**defaults, **system.options, **fixed}, [{}])
    free = [
        Stage(
            spec,
            {},
            grid_points(grid, without={*fixed, *spec.options}),
            [name for name in system.mechanism if len(grid.get(name, [])) > 1],
        )
        for grid in system.grid
    ]
    return [*before, own, *free]


def _bases(spec: ModelSpec, recipe: Recipe) -> list[ModelSpec]:
    """The systems that a search starts from, in its fidelity, the nearest first."""
    system = recipe.table_of(spec)
    if system is not None and system.starts_anew:
        return []
    return [base for base in spec.ancestors() if base.fidelity == spec.fidelity]


def possible_runs(
    spec: ModelSpec, recipe: Recipe | None, fixed: Mapping[str, Any] | None = None
) -> list[RunConfig]:
    """Every run that a search may come to, whatever is chosen on validation.

    The runs of the systems it starts from are among them. Runs that differ in options
    of the trainer alone count once: their models are the same.

    Args:
        spec: The system.
        recipe: The recipe, if there is one.
        fixed: Options that no grid may touch, such as those of the command line.

    Example:
        >>> system = System({"epochs": 9}, [{"lr": [1, 2], "num_layers": [1, 2]}])
        >>> recipe = Recipe([], {}, {"LightGCN": system})
        >>> runs = possible_runs(ModelSpec("LightGCN"), recipe)
        >>> [run.options["num_layers"] for run in runs]
        [1, 2]
    """
    settings: list[dict[str, Any]] = [{}]
    runs: list[RunConfig] = []
    for stage in stages(spec, recipe, fixed):
        pairs = itertools.product(settings, stage.points)
        settings = [{**before, **stage.options, **point} for before, point in pairs]
        if len(stage.points) > 1:
            runs += [run_config(stage.spec, each) for each in settings]
        by_options = {repr(run_config(spec, each).options): each for each in settings}
        settings = list(by_options.values())
    runs += [run_config(spec, each) for each in settings]
    return list({(run.label, repr(run.options)): run for run in runs}.values())


def choose(
    spec: ModelSpec,
    recipe: Recipe | None,
    validate: Callable[[RunConfig], float],
    *,
    fixed: Mapping[str, Any] | None = None,
    users: int = 0,
) -> Choice:
    """Settings of a system by a recipe, grids decided on validation.

    Args:
        spec: The system.
        recipe: The recipe, if there is one.
        validate: Trains a point and returns its validation metric, higher is better.
            It must not look at test.
        fixed: Options that no grid may touch, such as those of the command line.
        users: Users that are validated on, as :meth:`Stage.decide` takes them.

    Example:
        >>> system = System(grid=[{"num_layers": [1, 2, 3]}])
        >>> recipe = Recipe([], {"epochs": 5}, {"LightGCN": system})
        >>> metric = {1: 0.1, 2: 0.3, 3: 0.2}
        >>> def validate(run):
        ...     return metric[run.options["num_layers"]]
        >>> choice = choose(ModelSpec("LightGCN"), recipe, validate)
        >>> choice.settings, choice.chosen, choice.tried
        ({'epochs': 5, 'num_layers': 2}, {'num_layers': 2}, 3)
    """
    choice = Choice()
    for stage in stages(spec, recipe, fixed):
        values = [validate(run) for run in stage.runs(choice)]
        choice = stage.decide(choice, values, users)
    return choice


def fixed_options(
    spec: ModelSpec, recipe: Recipe | None, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Options that a recipe fixes for a system and its ancestors, grids apart.

    Args:
        spec: The system.
        recipe: The recipe, if there is one.
        settings: Options over those of the recipe.

    Example:
        >>> recipe = Recipe([], {"epochs": 5}, {"VBPR": System({"reg_weight": 0.1})})
        >>> fixed_options(ModelSpec("VBPR", "CLEAR"), recipe, {"rank": 4})
        {'epochs': 5, 'reg_weight': 0.1, 'rank': 4}
    """
    if recipe is None:
        return dict(settings)
    options = dict(recipe.defaults)
    for each in [*reversed(_bases(spec, recipe)), spec]:
        options |= (recipe.table_of(each) or System()).options
    return {**options, **settings}


def grid_points(grid: Grid, *, without: set[str] | None = None) -> list[dict[str, Any]]:
    """All combinations of a grid, the last key varying fastest.

    Example:
        >>> grid_points({"a": [1, 2], "b": [3, 4]}, without={"b"})
        [{'a': 1}, {'a': 2}]
    """
    free = {key: grid[key] for key in grid if key not in (without or set())}
    combinations = itertools.product(*free.values())
    return [dict(zip(free, values, strict=True)) for values in combinations]
