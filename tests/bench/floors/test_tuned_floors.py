from __future__ import annotations

import pytest

from mmgraph.bench.benchmark import run_benchmark
from mmgraph.bench.config import run_config
from mmgraph.bench.experiment import run_experiment
from mmgraph.bench.floors.tuned_floors import floor_systems, is_floor, with_floors
from mmgraph.bench.recipe import (
    Recipe,
    System,
    grid_points,
    load_recipe,
    possible_runs,
    stages,
)
from mmgraph.bench.results_folder import read_histories, read_results
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import parse_spec
from mmgraph.data import load_dataset, write_dataset
from mmgraph.files import read_json_lines
from mmgraph.models import ItemKNN, registry

SETTINGS = {"embedding_dim": 4, "epochs": 1}
FLOORS = [
    *("ItemKNN", "ContentKNN", "ContentKNN:modality=visual"),
    "ContentKNN:modality=textual",
]


@pytest.fixture(scope="module")
def source(splits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "toy"
    write_dataset(*splits, folder)
    return DataSource(str(folder))


def bench(source, out, *names, **options):
    specs = [parse_spec(name) for name in names]
    options = {"settings": SETTINGS, "device": "cpu", "floors": True} | options
    return run_benchmark(specs, source, out, **options)


def test_the_floors_go_by_the_modalities():
    listed = {
        names: [str(spec) for spec, _ in floor_systems(names)]
        for names in ((), ("visual",), ("textual", "acoustic"))
    }
    assert listed[()] == ["ItemKNN"]
    assert listed["visual",] == ["ItemKNN", "ContentKNN"]
    assert listed["textual", "acoustic"] == [
        *("ItemKNN", "ContentKNN", "ContentKNN:modality=textual"),
        "ContentKNN:modality=acoustic",
    ]
    for names in listed:
        for _, system in floor_systems(names):
            assert sum(len(grid_points(grid)) for grid in system.grid) <= 9


def test_one_modality_is_searched_for_its_neighbours_alone():
    train = load_dataset("synthetic")[0]
    specs, recipe = with_floors([parse_spec("VBPR")], None, train)
    found = {
        str(spec): [point for stage in stages(spec, recipe) for point in stage.points]
        for spec in specs[2:]
    }
    assert len(found["ContentKNN"]) == 1 + 3 + 2 + 4
    for name in ("visual", "textual"):
        points = found[f"ContentKNN:modality={name}"]
        assert points == [{}, *({"k": k} for k in (5, 10, 20, 50))]


def test_each_floor_is_run_once_after_the_systems(source, tmp_path):
    lines = bench(source, tmp_path, "VBPR", seeds=(1, 2))
    found = [(line["spec"], line["seed"]) for line in lines[1:]]
    assert found == [("VBPR", 1), ("VBPR", 2), *((name, 1) for name in FLOORS)]
    floors = [line for line in lines if is_floor(line)]
    assert [line["epochs"] for line in floors] == [0] * 5
    histories = read_histories(tmp_path, lines)
    for line in floors[1:]:
        assert [row["epoch"] for row in histories[line["key"]]] == [0]
        assert line["selection"]["tried"] > 1
    again = bench(source, tmp_path, "VBPR", seeds=(1, 2), resume=True)
    assert again == lines


def test_what_is_chosen_is_the_best_on_validation(source, splits, tmp_path):
    lines = bench(source, tmp_path, "VBPR", seeds=(1,))
    (line,) = (x for x in lines if x["spec"] == "ItemKNN")
    points = read_json_lines(tmp_path / "selection.jsonl")
    own = [p for p in points if p["spec"] == "ItemKNN"]
    best = max(own, key=lambda p: p["valid_recall@20"])
    assert line["options"] == best["options"]
    alone = run_experiment(
        run_config(parse_spec("ItemKNN"), best["options"] | SETTINGS),
        splits,
        data="toy",
        data_sha256=line["data_sha256"],
        device="cpu",
    )
    for split, metrics in line["metrics"].items():
        assert metrics == pytest.approx(alone.line["metrics"][split])


def test_floors_read_features_only_where_a_system_does(source, tmp_path):
    lines = bench(source, tmp_path, "MF-BPR", seeds=(1,))
    assert [line["spec"] for line in lines] == ["Popularity", "MF-BPR", "ItemKNN"]
    bare = run_benchmark(
        [parse_spec("MF-BPR")],
        source,
        tmp_path / "bare",
        seeds=(1,),
        settings=SETTINGS,
        device="cpu",
    )
    assert [line["key"] for line in bare] == [line["key"] for line in lines[:2]]


def test_what_a_recipe_says_of_a_floor_holds():
    train = load_dataset("synthetic")[0]
    own = System({"k": 3})
    recipe = Recipe([], {}, {"ItemKNN": own})
    specs = [parse_spec("VBPR"), parse_spec("ItemKNN")]
    found, merged = with_floors(specs, recipe, train)
    assert [str(spec) for spec in found] == ["VBPR", *FLOORS]
    assert merged.systems["ItemKNN"] == own
    assert merged.systems["ContentKNN"].grid


def test_several_processes_leave_the_same_lines(source, tmp_path):
    def content(folder):
        return [
            (line["key"], line["metrics"]) for line in read_results(tmp_path / folder)
        ]

    bench(source, tmp_path / "one", "VBPR", seeds=(1,), jobs=1, threads=1)
    bench(source, tmp_path / "two", "VBPR", seeds=(1,), jobs=2, threads=1)
    assert content("one") == content("two")


def test_a_recipe_file_may_search_floors(tmp_path):
    path = tmp_path / "floors.toml"
    path.write_text(
        'models = ["ItemKNN", "ContentKNN:modality=visual"]\n'
        "[system.ItemKNN]\ngrid = {k = [5, 10], shrinkage = [0.0, 2.0]}\n"
        '[system."ContentKNN:modality=visual"]\ngrid = {k = [5]}\n'
    )
    recipe = load_recipe(path)
    assert [str(spec) for spec in recipe.models] == [
        *("ItemKNN", "ContentKNN:modality=visual")
    ]
    runs = possible_runs(recipe.models[0], recipe)
    assert [run.options["k"] for run in runs] == [5, 5, 10, 10]


def test_a_floor_of_ones_own_is_one(monkeypatch):
    class Mine(ItemKNN):
        """Another floor."""

    monkeypatch.setattr(registry, "MODELS", dict(registry.MODELS))
    assert not is_floor({"model": "Mine"})  # of a results folder of someone else
    registry.register_model("Mine", Mine)
    assert is_floor({"model": "Mine"})
    assert not is_floor({"model": "MF-BPR"})
