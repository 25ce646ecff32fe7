from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mmgraph.bench.recipe import (
    choose,
    grid_points,
    load_recipe,
    recipe_file,
    shipped_recipes,
)

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "mmgraph" / "bench" / "recipes").glob("*.toml"))


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
    assert {path.stem for path in RECIPES} == set(shipped_recipes())
    assert {"baby", "sports", "synthetic", "tiktok"} <= set(shipped_recipes())


def test_a_recipe_is_found_by_its_name_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiktok").mkdir()  # a folder of data is no recipe
    assert [recipe_file(path.stem) for path in RECIPES] == RECIPES
    (tmp_path / "baby").write_text("models = ['VBPR']")
    assert [str(spec) for spec in load_recipe("baby").models] == ["VBPR"]


def test_the_recipes_are_in_the_built_package(tmp_path):
    command = "import setuptools; setuptools.setup()"
    arguments = ["-q", "build_py", "--build-lib", str(tmp_path)]
    run = [sys.executable, "-c", command, *arguments]
    subprocess.run(run, cwd=ROOT, check=True, capture_output=True)
    built = tmp_path / "mmgraph" / "bench" / "recipes"
    assert {path.name for path in built.glob("*.toml")} == {p.name for p in RECIPES}
