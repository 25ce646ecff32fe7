"""Experiments one after the other, each in a folder of its own, and one report."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mmgraph.analysis.report.page import page
from mmgraph.analysis.report.plots import require_plots
from mmgraph.analysis.report.provenance import provenance
from mmgraph.analysis.reproduce.catalog import (
    ALL,
    CONTROL,
    EXPERIMENTS,
    PaperExperiment,
    select,
    systems_of,
)
from mmgraph.analysis.reproduce.context import DEFAULT_MODEL, ExperimentContext
from mmgraph.analysis.reproduce.result import (
    SECTION,
    ExperimentResult,
    plain,
    read_section,
    write_result,
)
from mmgraph.bench.config import check_settings
from mmgraph.bench.failures import enough_memory
from mmgraph.bench.jobs.watch import Watch, unwatched
from mmgraph.bench.parallel import run_threads
from mmgraph.bench.recipe import Recipe
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import FIDELITIES, check_names, check_sizes, parse_spec
from mmgraph.bench.versions import versions
from mmgraph.cluster import load_ray
from mmgraph.errors import UserError
from mmgraph.files import read_json, write_atomic, write_json
from mmgraph.folders import check_output_folder
from mmgraph.lock import locked_folder
from mmgraph.options import fits

REQUEST, REPORT = "request.json", "report.html"
#: Least values of grids that are no options of a model; a model checks its own.
_COUNTS = {"k": 1, "items": 2, "dim": 2, "classes": 2}
#: Grids of which an experiment takes one value.
_SINGLE = {"items", "classes", "keep_graph"}

_log = logging.getLogger(__name__)


def reproduce_experiments(
    names: Sequence[str],
    source: DataSource,
    out: str | Path,
    *,
    seeds: Sequence[int] = (999, 1000, 1001),
    epochs: int | None = None,
    settings: Mapping[str, Any] | None = None,
    recipe: Recipe | None = None,
    grid: Mapping[str, Any] | None = None,
    fidelity: str = "released",
    model: str | None = None,
    runs: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    threads: int = 0,
    ray: str | None = None,
    gpus: float | None = None,
    watch: Watch = unwatched,
    command: str | None = None,
) -> Iterator[tuple[str, ExperimentResult, list[str]]]:
    """Repeat experiments of the papers on a data set, one folder for each.

    Args:
        names: Experiments, or ``all``; with ``all``, those that the data cannot carry
            are left out with a warning.
        source: The data.
        out: Folder of the experiments and of ``report.html``.
        seeds: Seeds of the tables; figures of one model use the first.
        epochs: Most epochs, over ``settings``, also for what trains fewer by default.
        settings: Options that hold for all systems that have them; over a recipe.
        recipe: Options and grids per system. Without one, settings that suit the
            embedded catalogue hold there where ``settings`` do not say otherwise.
        grid: Values to go through instead of those of the experiments.
        fidelity: ``"released"``: systems of others run as their public code;
            ``"paper"``: all as their papers.
        model: The system of the control; CLEAR without it.
        runs: Folder of all that is trained; ``runs`` in ``out`` without it.
        resume: Go on where an earlier, equal call stopped.
        device: As the trainer takes it.
        threads: CPU threads; 0: as many as suit the data.
        ray: Address of a Ray cluster that does the runs of tables; what a figure needs
            of one model is trained here.
        gpus: GPUs of a run there.
        watch: Shows progress.
        command: The command that asks for it, to be told in the report.

    Returns:
        Name, result and files of each, as :func:`run_experiments` yields them.

    Raises:
        UserError: If a name, an option or the data will not do.

    Example:
        >>> import tempfile
        >>> source, grid = DataSource("synthetic"), {"dim": [4]}
        >>> out = tempfile.mkdtemp()
        >>> for name, _, files in reproduce_experiments(
        ...     ["sea-theorems"], source, out, grid=grid
        ... ):
        ...     print(name, files)
        sea-theorems ['figure.svg', 'table.md', 'numbers.json']
    """
    if not names:
        raise UserError("no experiment named", "name one, or all; see --list")
    check_names([fidelity], FIDELITIES, "fidelity")
    chosen = select(names)
    given = {**(settings or {}), **({} if epochs is None else {"epochs": epochs})}
    systems = systems_of(chosen)
    if model is not None:
        if CONTROL not in chosen:
            what = f"none of {', '.join(chosen)} takes a model"
            raise UserError(what, f"leave --model out, or name {CONTROL}")
        systems.append(parse_spec(model))
    check_settings(given, systems)
    if ray is not None:
        load_ray()
    splits, sha256 = source.load()
    folder = Path(out)
    context = ExperimentContext(
        source,
        splits,
        sha256,
        folder,
        folder / "runs" if runs is None else Path(runs),
        list(seeds),
        watch,
        settings={**(source.default_settings if recipe is None else {}), **given},
        recipe=recipe,
        device=device,
        threads=threads,
        ray=ray,
        gpus=gpus,
        epochs=epochs,
        fidelity=fidelity,
        model=model or DEFAULT_MODEL,
        command=command,
    )
    return run_experiments(
        chosen, context, grid=grid, resume=resume, required=ALL not in names
    )


def run_experiments(
    chosen: Mapping[str, PaperExperiment],
    context: ExperimentContext,
    *,
    grid: Mapping[str, Any] | None = None,
    resume: bool = False,
    required: bool = True,
) -> Iterator[tuple[str, ExperimentResult, list[str]]]:
    """Run experiments and write what they leave, the report anew after each.

    Args:
        chosen: As :func:`~mmgraph.analysis.reproduce.catalog.select` gives them.
        context: Data and options; its folder is that of all experiments.
        grid: Values to go through instead of those of the experiments.
        resume: Go on where an earlier, equal call stopped.
        required: An experiment that these data cannot carry is an error; otherwise it
            is left out, and this is logged.

    Yields:
        Name, result and the files of each.

    Raises:
        UserError: If something is missing, misspelt or there already, if all were left
            out, or another process writes into the folder.
    """
    grids = _grids(chosen, grid or {})
    if any(experiment.plots for experiment in chosen.values()):
        require_plots()
    sections = [f"{name}/{SECTION}" for name in {**EXPERIMENTS, **chosen}]
    check_output_folder(context.folder, first=sections, others=[REPORT])
    check_output_folder(context.runs)
    with ExitStack() as stack:
        for folder in sorted({context.folder.resolve(), context.runs.resolve()}):
            stack.enter_context(locked_folder(folder))
        for name in chosen:
            request = _request(name, context, grids[name])
            _check_request(name, context.folder / name, request, resume)
        for name in EXPERIMENTS:
            if name != next(iter(chosen)):  # it is written before the report is
                read_section(context.folder / name)
        stack.enter_context(run_threads(context.train, context.device, context.threads))
        yield from _run_all(chosen, context, grids, required=required)


def _run_all(
    chosen: Mapping[str, PaperExperiment],
    context: ExperimentContext,
    grids: Mapping[str, Mapping[str, Sequence[Any]]],
    *,
    required: bool,
) -> Iterator[tuple[str, ExperimentResult, list[str]]]:
    left_out: dict[str, UserError] = {}
    for name, experiment in chosen.items():
        own = replace(context, folder=context.folder / name, grid=grids[name])
        request = _request(name, context, grids[name])
        try:
            write_json(own.folder / REQUEST, request)
            with enough_memory():
                result = experiment.run(own)
        except Exception as error:
            _forget(own.folder)
            if required or not isinstance(error, UserError):
                raise
            _log.warning("%s is left out: %s", name, error)
            left_out[name] = error
            continue
        about = {
            "experiment": name,
            "title": experiment.title,
            "data": context.source.name,
            "dataset": context.dataset,
            **request,
            "versions": versions(),
        }
        result.numbers = plain({**about, "results": result.numbers})
        files = write_result(own.folder, experiment.title, result)
        write_report(context.folder, command=context.command)
        yield name, result, files
    if left_out and len(left_out) == len(chosen):
        raise next(iter(left_out.values()))


def write_report(folder: Path, *, command: str | None = None) -> None:
    """One page over all experiments that a folder holds, in the order of the table."""
    sections = [read_section(folder / name) for name in EXPERIMENTS]
    written = [section for section in sections if section is not None]
    text = page("The papers' experiments", written, provenance(command))
    write_atomic(folder / REPORT, text)


def _forget(folder: Path) -> None:
    """Leave no trace of an experiment that failed before it had results."""
    if _is_bare(folder):
        (folder / REQUEST).unlink(missing_ok=True)
        with suppress(OSError):  # it could not even be made
            folder.rmdir()


def _is_bare(folder: Path) -> bool:
    """True if a folder holds at most the request of an experiment without results."""
    return not folder.exists() or {p.name for p in folder.iterdir()} <= {REQUEST}


def _grids(
    chosen: Mapping[str, PaperExperiment], given: Mapping[str, Any]
) -> dict[str, dict[str, Sequence[Any]]]:
    known = {key for experiment in chosen.values() for key in experiment.grid}
    check_names(given, known, "grid")
    check_sizes(given)
    for key, values in given.items():
        numbers = isinstance(values, list) and all(fits(v, float) for v in values)
        if not numbers or not values or len(set(values)) < len(values):
            raise UserError(
                f"grid {key} is not a list of different numbers (got {values!r})",
                f"write --grid {key}=[1,2]",
            )
        if key == "keep_graph" and not set(values) <= {0, 1}:
            what = f"grid {key} is 1 or 0 (got {values!r})"
            raise UserError(what, f"write --grid {key}=[0]")
        if key in _SINGLE and len(values) > 1:
            raise UserError(
                f"grid {key} wants one value (got {values!r})",
                f"write --grid {key}=[{values[0]!r}]",
            )
        least = _COUNTS.get(key)
        if least and not all(fits(v, int) and v >= least for v in values):
            raise UserError(
                f"grid {key} wants integers of at least {least} (got {values!r})",
                f"write --grid {key}=[{least},{least + 1}]",
            )
    return {
        name: {key: given.get(key, values) for key, values in experiment.grid.items()}
        for name, experiment in chosen.items()
    }


def _request(
    name: str, context: ExperimentContext, grid: Mapping[str, Sequence[Any]]
) -> dict[str, Any]:
    """The options that must not change between the parts of one experiment."""
    request = {
        "data_sha256": context.data_sha256,
        "seeds": list(context.seeds),
        "epochs": context.epochs,
        "fidelity": context.fidelity,
        "settings": dict(context.settings),
        "grid": {key: list(values) for key, values in grid.items()},
        "recipe": None if context.recipe is None else _content(context.recipe),
    }
    # Nothing else takes a model, and results of before have no such entry.
    if name == CONTROL and context.model != DEFAULT_MODEL:
        request["model"] = context.model
    content: dict[str, Any] = json.loads(json.dumps(request))
    return content


def _content(recipe: Recipe) -> dict[str, Any]:
    """What a recipe says, wherever it lies."""
    content = {name: part for name, part in asdict(recipe).items() if name != "path"}
    # Results of before know one seed, no mechanism and no search that starts anew.
    if recipe.selection_seeds == 1:
        del content["selection_seeds"]
    for system in content["systems"].values():
        for later in ("mechanism", "starts_anew"):
            if not system[later]:
                del system[later]
    return content


def _check_request(
    name: str, folder: Path, request: Mapping[str, Any], resume: bool
) -> None:
    path = folder / REQUEST
    if not path.exists() or _is_bare(folder):
        return
    before = read_json(path, fix="choose another --out")
    # A request for the usual model does not name it; those of other experiments named
    # one where they were of a command that did.
    keys = {**request, "model": None} if name == CONTROL else request
    differing = [key for key in keys if before.get(key) != request.get(key)]
    if differing:
        raise UserError(
            f"the results there are of another {', '.join(differing)}",
            "give the options that they were made with, and --resume, or choose "
            "another --out",
            path=folder,
        )
    if not resume:
        raise UserError(
            "this experiment has results already",
            "go on with --resume, or choose another --out",
            path=folder,
        )
