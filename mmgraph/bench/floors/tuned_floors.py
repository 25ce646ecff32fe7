"""The floors beside every leaderboard: systems without training, tuned like others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch_geometric.data import HeteroData

from mmgraph.bench.recipe import Grid, Recipe, System
from mmgraph.bench.spec import ModelSpec
from mmgraph.models.registry import (
    available_floors,
    available_models,
    kind_of,
    reads_features,
)
from mmgraph.schema import modalities

#: A few points each, chosen on validation: a floor costs seconds, not an epoch.
_ITEM_GRID: list[Grid] = [{"k": [20, 100, 500]}, {"shrinkage": [0.0, 30.0, 300.0]}]
_CONTENT_K: Grid = {"k": [5, 10, 20, 50]}
_FUSE: Grid = {"fuse": ["graphs", "features"]}


def is_floor(line: Mapping[str, Any]) -> bool:
    """True of a line of results of a system without training.

    Example:
        >>> is_floor({"model": "Popularity"}), is_floor({"model": "VBPR"})
        (True, False)
    """
    model = line.get("model")
    known = {*available_models(), *available_floors()}
    return model == "Popularity" or (model in known and kind_of(model) == "floor")


def floor_systems(names: Sequence[str]) -> list[tuple[ModelSpec, System]]:
    """The floors of data with some modalities, each with a grid of its own.

    Neighbours by interactions (``ItemKNN``), by the content of all modalities, and by
    that of each where there are several (``ContentKNN``).

    Args:
        names: Names of the modalities; none for data without features.

    Example:
        >>> [str(spec) for spec, _ in floor_systems(["visual", "textual"])]
        ['ItemKNN', 'ContentKNN', 'ContentKNN:modality=visual', \
'ContentKNN:modality=textual']
    """
    floors = [(ModelSpec("ItemKNN"), System(grid=_ITEM_GRID))]
    if len(names) > 1:
        grid: list[Grid] = [{"modality_weights": _weights(names)}, _FUSE, _CONTENT_K]
        floors.append((ModelSpec("ContentKNN"), System(grid=grid)))
        floors += [
            (
                ModelSpec("ContentKNN", options={"modality": m}),
                # How several are fused means nothing to one.
                System(grid=[_CONTENT_K], starts_anew=True),
            )
            for m in names
        ]
    elif names:
        floors.append((ModelSpec("ContentKNN"), System(grid=[_CONTENT_K])))
    return floors


def _weights(names: Sequence[str]) -> list[dict[str, float]]:
    """Equal weights, and for each modality those in which it has nine tenths."""
    number = len(names)
    heavy = [
        {m: 0.9 if m == first else 0.1 / (number - 1) for m in names} for first in names
    ]
    return [dict.fromkeys(names, 1.0 / number), *heavy]


def with_floors(
    specs: Sequence[ModelSpec], recipe: Recipe | None, train: HeteroData
) -> tuple[list[ModelSpec], Recipe]:
    """Systems and a recipe with the floors added, after them.

    What the recipe says of a floor holds. Floors read features where one of the systems
    does, so that no file is read for them alone.

    Args:
        specs: The systems.
        recipe: The recipe, if there is one.
        train: Training split.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> train, _, _ = load_dataset("synthetic")
        >>> specs, recipe = with_floors([ModelSpec("LightGCN")], None, train)
        >>> [str(spec) for spec in specs], list(recipe.systems)
        (['LightGCN', 'ItemKNN'], ['ItemKNN'])
    """
    content = any(reads_features(spec.model) for spec in specs)
    floors = floor_systems(modalities(train) if content else [])
    recipe = recipe or Recipe([], {}, {})
    tables = {str(spec): system for spec, system in floors}
    named = {str(spec) for spec in specs}
    new = [spec for spec, _ in floors if str(spec) not in named]
    return [*specs, *new], replace(recipe, systems={**tables, **recipe.systems})
