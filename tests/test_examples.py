"""The examples run, and print what they are there to show."""

from __future__ import annotations

import ast
import re
import runpy
from importlib import import_module
from pathlib import Path

import pytest

from mmgraph.models import registry

FOLDER = Path(__file__).parent.parent / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
README = FOLDER.parent / "README.md"


@pytest.fixture
def printed(monkeypatch, capsys):
    """The lines that an example prints."""
    monkeypatch.setattr(registry, "MODELS", dict(registry.MODELS))

    def run(name):
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out.splitlines()

    return run


def numbers(line):
    return [float(word) for word in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", line)]


def test_own_data_ends_in_own_ids_of_the_right_kind(printed):
    recall, tea_drinker, coffee_drinker = printed("own_data")
    # At random 10 of the 74 or so candidates are shown, of one kind alone 10 of 34.
    assert numbers(recall)[-1] > 0.2
    assert re.fullmatch(r"customer-000( tea-\d\d){3}", tea_drinker)
    assert re.fullmatch(r"customer-001( coffee-\d\d){3}", coffee_drinker)


def test_clear_takes_the_shared_part_out_of_a_pyg_model(printed):
    (line,) = printed("clear_in_a_pyg_model")
    loss, without, with_clear = numbers(line)
    assert loss < 6.39  # that of equal scores for 600 items
    # Of the four directions that are damped by 0.1 on both sides, 0.01 is left.
    assert with_clear < 0.1 * without


def test_sea_losses_fall_in_another_project(printed):
    first, last = printed("sea_losses_elsewhere")
    (_, *before), (_, *after) = numbers(first), numbers(last)
    for old, new in zip(before, after, strict=True):  # task, both losses, both bounds
        assert new < old
    assert len(after) == 5


def test_the_graph_of_a_catalogue_is_verified_and_found_by_ids(printed):
    visual, textual, wrong, like = printed("graph_of_a_catalogue")
    assert visual == "visual: 3000 edges, 0 missing"
    assert textual == "textual: 2800 edges, 20 missing"
    assert wrong == "wrong rows: [0, 0]"
    assert re.fullmatch(r"like sku-7:( sku-\d+){3}", like)
    assert "sku-7" not in like.split()[2:]


def test_an_own_system_learns_and_takes_plugins(printed):
    lines = printed("own_system")
    assert [line.partition(":")[0] for line in lines] == ["None", "clear", "sea"]
    recall = [numbers(line)[-1] for line in lines]
    assert min(recall) > 0.1  # a random order has 20 / 600
    assert len(set(recall)) == 3


def test_two_runs_are_compared_with_intervals(printed):
    plain, visual, difference = printed("compare_two_runs")
    assert plain.startswith("MF-BPR: recall@20")
    assert visual.startswith("VBPR: recall@20")
    for line in (plain, visual, difference):
        mean, low, high = numbers(line.partition("p ")[0])[-3:]
        assert low < mean < high
    (means, apart) = [numbers(line)[-3] for line in (plain, visual)], difference
    assert numbers(apart)[0] == pytest.approx(means[1] - means[0], abs=2e-4)
    assert numbers(apart)[-1] < 0.05  # features tell what five epochs of ids do not


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_takes_public_names_alone(path):
    source = path.read_text("utf-8")
    assert len(source.splitlines()) <= 40
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("mmgraph"):
            module = import_module(node.module)
            for alias in node.names:
                assert alias.name in public_names(module), alias.name


def public_names(module):
    """What it promises; of a module without a list, what is defined there."""
    own = [name for name in vars(module) if not name.startswith("_")]
    return getattr(module, "__all__", own)


def test_the_readme_lists_every_example_in_one_line():
    listed = re.findall(
        r"^- \[`(\w+)\.py`\]\(examples/\1\.py\): ", README.read_text(), re.M
    )
    assert sorted(listed) == [path.stem for path in EXAMPLES]
