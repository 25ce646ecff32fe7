"""Systems that can be built on a data set, before the first is trained."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from torch_geometric.data import HeteroData

from mmgraph.bench.config import RunConfig, check_values, run_config
from mmgraph.bench.experiment import make_trainer
from mmgraph.bench.recipe import Recipe, possible_runs
from mmgraph.bench.spec import ModelSpec
from mmgraph.bench.systems import check_system, refusal
from mmgraph.errors import UserError

_log = logging.getLogger(__name__)


def buildable(
    runs: Iterable[RunConfig],
    train: HeteroData,
    *,
    required: bool = False,
    fixed_specs: bool = False,
) -> tuple[list[RunConfig], dict[str, str]]:
    """Build every system once, so that a mistake shows at once.

    Parameters take no memory and no time: they are of the device ``meta``. Data do not
    suit a system if it cannot be built on them with its defaults either; anything else
    is a mistake in its options.

    Args:
        runs: Systems with all their options.
        train: Training split.
        required: Raise the error of a system that the data do not suit, too.
        fixed_specs: The options in the specs are not the user's: if the data do not
            suit these options, they do not suit the system.

    Returns:
        The systems that can be built, and by label why the data do not suit the others.

    Raises:
        UserError: If an option may not have its value, or not together with the others,
            or no data could make a system right; with ``required``, also if the data do
            not suit a system.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.bench.config import run_config
        >>> from mmgraph.bench.spec import ModelSpec
        >>> train, valid, test = load_dataset("synthetic", modalities=[])
        >>> runs = [run_config(ModelSpec(name)) for name in ("LightGCN", "VBPR")]
        >>> accepted, reasons = buildable(runs, train)
        >>> [run.label for run in accepted], list(reasons)
        (['LightGCN'], ['VBPR'])
    """
    accepted, reasons = [], {}
    for run in runs:
        make_trainer(run, seed=0, device="cpu")
        error = refusal(run, train)
        if error is None:
            accepted.append(run)
            continue
        if required:
            raise error
        check_values(run.options, [run.spec])
        check_system(run.spec)
        plain = run.spec if fixed_specs else replace(run.spec, options={})
        if refusal(run_config(plain), train) is None:
            raise error
        reasons[run.label] = error.what
        _log.warning("%s is left out: %s", run.label, error)
    return accepted, reasons


def buildable_systems(
    specs: Iterable[ModelSpec],
    train: HeteroData,
    *,
    settings: Mapping[str, Any] | None = None,
    recipe: Recipe | None = None,
    required: bool = False,
) -> tuple[list[ModelSpec], dict[str, str]]:
    """Build every system with all the options that a search may come to.

    Args:
        specs: The systems.
        train: Training split.
        settings: Options that hold for all systems that have them; over a recipe.
        recipe: Options and grids per system.
        required: Raise the error of a system that the data do not suit, too.

    Returns:
        The systems that can be built, and by label why the data do not suit the others.

    Raises:
        UserError: As :func:`buildable`, with the recipe's file and the system.

    Example:
        >>> from mmgraph.bench.recipe import System
        >>> from mmgraph.data import load_dataset
        >>> train, valid, test = load_dataset("synthetic")
        >>> recipe = Recipe([], {}, {"VBPR+CLEAR": System(grid=[{"rank": [4, 999]}])})
        >>> buildable_systems([ModelSpec("VBPR", "CLEAR")], train, recipe=recipe)
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: system 'VBPR+CLEAR': CLEARPlugin: 'rank' must be in \
[0, 64] (got 999) - lower it
    """
    accepted: list[ModelSpec] = []
    reasons: dict[str, str] = {}
    for spec in specs:
        try:
            runs = possible_runs(spec, recipe, settings)
            _, unsuitable = buildable(runs[-1:], train, required=required)
            if unsuitable:
                reasons |= unsuitable
                continue
            buildable(runs, train, required=True)
        except UserError as error:
            if recipe is None:
                raise
            what = f"system '{spec}': {error.what}"
            raise UserError(what, error.fix, path=recipe.path) from error
        accepted.append(spec)
    return accepted, reasons
