from __future__ import annotations

from pathlib import Path

import pytest

from mmgraph.bench.recipe import choose, grid_points, load_recipe

RECIPES = sorted((Path(__file__).parents[2] / "benchmarks" / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_names_existing_systems_and_options(path):
    recipe = load_recipe(path)
    assert recipe.models
    names = {str(spec) for spec in recipe.models}
    assert set(recipe.systems) <= names, "a table for a system that is not compared"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_system_resolves_and_its_own_grid_is_small(path):
    recipe = load_recipe(path)
    for spec in recipe.models:
        choice = choose(spec, recipe, lambda run: 1.0)
        assert choice.settings["epochs"] == recipe.defaults["epochs"]
    for name, system in recipe.systems.items():
        assert sum(len(grid_points(stage)) for stage in system.grid) <= 10, name


def test_the_named_recipes_are_there():
    names = {"baby", "sports", "synthetic", "tiktok", "tiktok-sweep"}
    assert {path.stem for path in RECIPES} == names
