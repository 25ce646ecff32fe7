from __future__ import annotations

import json
import math

import numpy as np
import pytest

from mmgraph.bench.benchmark import Benchmark, FailedRunsError, run_benchmark
from mmgraph.bench.jobs import task as module
from mmgraph.bench.recipe import Recipe, System
from mmgraph.bench.results_folder import (
    read_histories,
    read_per_user,
    read_results,
)
from mmgraph.bench.run_directory import load_run
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import parse_spec
from mmgraph.bench.training import evaluate_run
from mmgraph.data import load_dataset, write_dataset
from mmgraph.errors import UserError
from mmgraph.files import read_json_lines
from mmgraph.lock import locked_folder
from mmgraph.models import LightGCN
from mmgraph.models.registry import MODELS

SPECS = [parse_spec("MF-BPR"), parse_spec("LightGCN:num_layers=1")]
SETTINGS = {"embedding_dim": 4, "epochs": 2, "lr": 0.01}


def bench(splits, out, **options):
    return Benchmark(splits, "toy", "0", out, device="cpu", **options)


TIMES = {"seconds_per_epoch", "seconds_per_evaluation", "peak_memory_bytes"}
GRIDS = Recipe(
    [],
    {"embedding_dim": 4, "epochs": 3, "lr": 0.05},
    {
        "MF-BPR": System({}, [{"lr": [1e-5, 0.05]}]),
        # The second stage has the winner of the first among its points.
        "VBPR+CLEAR": System({}, [{"rank": [1, 2]}, {"strength": [0.9, 0.5]}]),
    },
)
GRID_SPECS = [parse_spec("VBPR+CLEAR"), parse_spec("MF-BPR")]


def without(lines, *names):
    hidden = {*TIMES, *names}
    return [{k: v for k, v in line.items() if k not in hidden} for line in lines]


def without_times(lines):
    return without(lines)


def points(out):
    return [json.loads(line) for line in (out / "selection.jsonl").open()]


def test_every_system_runs_with_every_seed_beside_the_floor(splits, tmp_path):
    lines = bench(splits, tmp_path).run(SPECS, [1, 2], settings=SETTINGS)
    assert [(line["spec"], line["seed"]) for line in lines] == [
        ("Popularity", None),
        ("MF-BPR", 1),
        ("MF-BPR", 2),
        ("LightGCN:num_layers=1", 1),
        ("LightGCN:num_layers=1", 2),
    ]
    users = read_per_user(tmp_path, lines)
    for line in lines[1:]:
        recall = users[line["key"]]["recall@20"].tolist()
        mean = math.fsum(recall) / len(recall)
        assert line["metrics"]["test"]["recall@20"] == pytest.approx(mean, abs=1e-12)


def test_the_same_benchmark_twice_is_identical_but_for_times(splits, tmp_path):
    first = bench(splits, tmp_path / "a").run(SPECS, [1], settings=SETTINGS)
    second = bench(splits, tmp_path / "b").run(SPECS, [1], settings=SETTINGS)
    assert without_times(first) == without_times(second)


def test_resume_keeps_finished_runs_and_repeats_the_torn_one(
    splits, tmp_path, monkeypatch
):
    whole = bench(splits, tmp_path).run(SPECS, [1], settings=SETTINGS)
    path = tmp_path / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-30])  # killed while it wrote the last line
    trained = []
    original = module.run_experiment

    def watch(run, *args, **options):
        trained.append(run.label)
        return original(run, *args, **options)

    monkeypatch.setattr(module, "run_experiment", watch)
    again = bench(splits, tmp_path, resume=True).run(SPECS, [1], settings=SETTINGS)
    assert trained == ["LightGCN:num_layers=1"]
    assert without_times(again) == without_times(whole)
    assert again[1] == whole[1]


def test_a_run_that_fails_is_told_when_all_others_are_done(splits, tmp_path):
    specs = [parse_spec("MF-BPR:lr=1e30"), SPECS[1]]
    message = (
        r"^2 of 4 runs failed, first MF-BPR:lr=1e\+30 with seed 1: the model's scores "
        r"are not finite - train it with a smaller learning rate$"
    )
    for _ in range(2):  # again with resume: they are not taken for done
        with pytest.raises(FailedRunsError, match=message):
            bench(splits, tmp_path, resume=True).run(specs, [1, 2], settings=SETTINGS)
        lines = read_json_lines(tmp_path / "results.jsonl")
        done = [(line["spec"], line["seed"]) for line in lines]
        assert done == [("Popularity", None), (str(specs[1]), 1), (str(specs[1]), 2)]


class Refusing(LightGCN):
    """Fails while it trains, in a function that refuses its data."""

    error: Exception = ValueError("no row has both modalities")

    def loss(self, data, batch):
        raise self.error


def test_data_that_a_function_refuses_end_no_other_system(
    splits, tmp_path, monkeypatch
):
    monkeypatch.setitem(MODELS, "Refusing", Refusing)
    specs = [parse_spec("Refusing"), SPECS[0]]
    with pytest.raises(FailedRunsError, match="no row has both modalities") as caught:
        bench(splits, tmp_path).run(specs, [1], settings=SETTINGS)
    assert caught.value.reasons == {
        "Refusing with seed 1": "no row has both modalities"
    }
    lines = read_json_lines(tmp_path / "results.jsonl")
    assert [line["spec"] for line in lines] == ["Popularity", "MF-BPR"]


def test_a_mistake_in_code_is_not_hidden(splits, tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS, "Refusing", Refusing)
    monkeypatch.setattr(Refusing, "error", TypeError("a mistake"))
    with pytest.raises(TypeError, match="a mistake"):
        bench(splits, tmp_path).run([parse_spec("Refusing")], [1], settings=SETTINGS)


def test_a_grid_without_a_point_that_can_be_trained_ends_no_other_system(
    splits, tmp_path
):
    recipe = Recipe([], SETTINGS, {"MF-BPR": System({}, [{"lr": [1e37, 1e38]}])})
    message = "2 of 4 runs failed, first MF-BPR with seed 1: no point of the grid of MF"
    with pytest.raises(FailedRunsError, match=message) as caught:
        bench(splits, tmp_path).run(SPECS, [1, 2], recipe=recipe)
    assert list(caught.value.reasons) == ["MF-BPR with seed 1", "MF-BPR with seed 2"]
    lines = read_json_lines(tmp_path / "results.jsonl")
    labels = [(line["spec"], line["seed"]) for line in lines]
    label = str(SPECS[1])
    assert labels == [("Popularity", None), (label, 1), (label, 2)]


class Hungry(LightGCN):
    """Memory is short for its larger form."""

    largest = 4

    def loss(self, data, batch):
        if self.embedding_dim > self.largest:
            raise MemoryError
        return super().loss(data, batch)


def test_a_point_without_enough_memory_does_not_lose_but_is_tried_again(
    splits, tmp_path, monkeypatch
):
    monkeypatch.setitem(MODELS, "Hungry", Hungry)
    grid = System({}, [{"embedding_dim": [2, 8]}])
    recipe = Recipe([], {"epochs": 2, "lr": 0.05}, {"Hungry": grid})
    specs = [parse_spec("Hungry"), SPECS[1]]

    def run(out, **options):
        system = bench(splits, tmp_path / out, **options)
        return system.run(specs, [1, 2], recipe=recipe)

    message = "2 of 4 runs failed, first Hungry with seed 1: not enough memory"
    for _ in range(2):
        with pytest.raises(FailedRunsError, match=message) as caught:
            run("short", resume=True)
        assert list(caught.value.reasons) == [
            "Hungry with seed 1",
            "Hungry with seed 2",
        ]
        assert [p["options"]["embedding_dim"] for p in points(tmp_path / "short")] == [
            2
        ]
        done = [line["spec"] for line in read_results(tmp_path / "short")]
        assert done == ["Popularity", str(SPECS[1]), str(SPECS[1])]
    monkeypatch.setattr(Hungry, "largest", 8)
    assert without_times(run("short", resume=True)) == without_times(run("enough"))


def test_without_resume_former_results_are_moved_aside(splits, tmp_path):
    bench(splits, tmp_path).run(SPECS[:1], [1], settings=SETTINGS)
    before = (tmp_path / "results.jsonl").read_text()
    assert bench(splits, tmp_path).lines() == []
    assert (tmp_path / "results.jsonl.previous").read_text() == before


def test_options_are_chosen_on_validation_and_test_is_left_alone(
    splits, tmp_path, monkeypatch
):
    tests = []
    original = module.run_experiment

    def watch(run, *args, test, **options):
        tests.append(test)
        return original(run, *args, test=test, **options)

    monkeypatch.setattr(module, "run_experiment", watch)
    grid = {"lr": [1e-5, 0.05]}
    recipe = Recipe(
        [], {"embedding_dim": 4, "epochs": 3}, {"MF-BPR": System({}, [grid])}
    )
    lines = bench(splits, tmp_path).run(SPECS[:1], [7, 8], recipe=recipe)
    points = [json.loads(x) for x in (tmp_path / "selection.jsonl").open()]
    assert tests == [False, False, True]  # the choice is not trained again
    assert [point["trainer"]["lr"] for point in points] == grid["lr"]
    assert all("test" not in json.dumps(point) for point in points)
    best = points[int(np.argmax([point["valid_recall@20"] for point in points]))]
    assert lines[1]["trainer"]["lr"] == best["trainer"]["lr"]
    assert lines[1]["selection"] == {
        "chosen": {"lr": best["trainer"]["lr"]},
        "tried": 2,
        "seeds": 1,
    }

    bench(splits, tmp_path, resume=True).run(SPECS[:1], [7, 8], recipe=recipe)
    assert tests == [False, False, True]  # nothing was trained again


def test_a_choice_on_several_seeds_is_by_their_mean(splits, tmp_path, monkeypatch):
    trained = []
    original = module.run_experiment

    def watch(run, *args, test, seed, **options):
        trained.append((run.trainer["lr"], seed, test))
        result = original(run, *args, test=test, seed=seed, **options)
        # The first seed alone would choose the first point.
        values = {(0.01, 7): 0.5, (0.01, 8): 0.1, (0.05, 7): 0.4, (0.05, 8): 0.4}
        value = values.get((run.trainer["lr"], seed))
        if value is not None:
            result.line["metrics"]["valid"]["recall@20"] = value
        return result

    monkeypatch.setattr(module, "run_experiment", watch)
    recipe = Recipe(
        [],
        {"embedding_dim": 4, "epochs": 1},
        {"MF-BPR": System({}, [{"lr": [0.01, 0.05]}])},
        selection_seeds=2,
    )
    lines = bench(splits, tmp_path).run(SPECS[:1], [7, 8, 9], recipe=recipe)
    assert {line["trainer"]["lr"] for line in lines[1:]} == {0.05}
    # Only the third seed is trained after the choice: the others are kept.
    assert trained == [
        *((lr, seed, False) for lr in (0.01, 0.05) for seed in (7, 8)),
        (0.05, 9, True),
    ]
    assert [line["seed"] for line in lines[1:]] == [7, 8, 9]
    assert lines[1]["selection"] == {"chosen": {"lr": 0.05}, "tried": 2, "seeds": 2}
    assert not (tmp_path / "selected").exists()


def test_a_tie_goes_to_the_weaker_mechanism_which_is_not_trained_again(
    splits, tmp_path, monkeypatch
):
    trained = []
    original = module.run_experiment
    # 60 users are validated on: the standard error of .5 is .06.
    values = {0.3: 0.4, 0.5: 0.45, 0.9: 0.5}

    def watch(run, *args, test, **options):
        trained.append((run.options["strength"], test))
        result = original(run, *args, test=test, **options)
        value = values[run.options["strength"]]
        result.line["metrics"]["valid"]["recall@20"] = value
        return result

    monkeypatch.setattr(module, "run_experiment", watch)
    system = System({"rank": 1}, [{"strength": [0.9, 0.3, 0.5]}], ["strength"])
    recipe = Recipe([], {"embedding_dim": 4, "epochs": 1}, {"VBPR+CLEAR": system})
    lines = bench(splits, tmp_path).run([parse_spec("VBPR+CLEAR")], [7], recipe=recipe)
    assert lines[1]["options"]["strength"] == 0.5
    assert trained == [(0.9, False), (0.3, False), (0.5, False)]


def test_a_grid_point_that_diverges_loses(splits, tmp_path):
    recipe = Recipe([], SETTINGS, {"MF-BPR": System({}, [{"lr": [1e38, 0.01]}])})
    lines = bench(splits, tmp_path).run(SPECS[:1], [1], recipe=recipe)
    points = [json.loads(x) for x in (tmp_path / "selection.jsonl").open()]
    assert points[0]["valid_recall@20"] is None
    assert "finite" in points[0]["error"]
    assert lines[1]["trainer"]["lr"] == 0.01


@pytest.mark.usefixtures("quick_start")
def test_several_jobs_leave_what_one_leaves(splits, tmp_path):
    write_dataset(*splits, tmp_path / "toy")
    source = DataSource(str(tmp_path / "toy"))
    splits, sha256 = source.load()
    folders = {}
    for jobs in (1, 2):
        folders[jobs] = tmp_path / str(jobs)
        Benchmark(
            splits,
            source.name,
            sha256,
            folders[jobs],
            device="cpu",
            jobs=jobs,
            threads=1,
            source=source,
        ).run(GRID_SPECS, [7, 8], recipe=GRIDS)
    one, two = (read_json_lines(f / "results.jsonl") for f in folders.values())
    assert len(one) == 5
    assert without_times(two) == without_times(one)
    assert points(folders[2]) == points(folders[1])
    users = [read_per_user(folder, one) for folder in folders.values()]
    assert users[0].keys() == users[1].keys() == {line["key"] for line in one[1:]}
    for key, table in users[0].items():
        for name, values in table.items():
            assert values.tolist() == users[1][key][name].tolist()
    rows = [read_histories(folder, one) for folder in folders.values()]
    assert rows[0].keys() == rows[1].keys() == users[0].keys()
    for key, history in rows[0].items():
        times = ("seconds", "seconds_evaluation")
        assert without(rows[1][key], *times) == without(history, *times)
    assert not (folders[2] / "selected").exists()


def test_several_jobs_need_a_source(splits, tmp_path):
    with pytest.raises(ValueError, match=r"need a source \(got jobs=2\)"):
        bench(splits, tmp_path, jobs=2)
    with pytest.raises(ValueError, match=r"a cluster needs a source \(got ray='auto'"):
        bench(splits, tmp_path, ray="auto")


def test_the_line_of_a_choice_is_that_of_a_separate_run(splits, tmp_path):
    chosen = bench(splits, tmp_path / "a").run(GRID_SPECS, [7, 8], recipe=GRIDS)
    for line in chosen[1:]:
        spec = parse_spec(line["spec"])
        options = {**line["options"], **line["trainer"]}
        out = tmp_path / line["key"]
        alone = bench(splits, out).run([spec], [line["seed"]], settings=options)
        assert without([line], "selection") == without([alone[-1]], "selection")
        for folder in (tmp_path / "a", out):
            history = read_histories(folder, [line])[line["key"]]
            assert len(history) == line["epochs"]
        mine = read_per_user(tmp_path / "a", [line])[line["key"]]
        apart = read_per_user(out, [line])[line["key"]]
        assert {k: v.tolist() for k, v in mine.items()} == {
            k: v.tolist() for k, v in apart.items()
        }
    assert len(chosen) == 5
    assert not (tmp_path / "a" / "selected").exists()


def test_an_interruption_between_choice_and_test_costs_no_training(
    splits, tmp_path, monkeypatch
):
    whole = bench(splits, tmp_path / "whole").run(GRID_SPECS, [7], recipe=GRIDS)

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "finish_experiment", stop)
        with pytest.raises(KeyboardInterrupt):
            bench(splits, tmp_path / "out").run(GRID_SPECS, [7], recipe=GRIDS)
    tried = [p for p in points(tmp_path / "out") if p["spec"] == "VBPR+CLEAR"]
    kept = [path.name for path in (tmp_path / "out" / "selected").iterdir()]
    best = max(tried, key=lambda point: point["valid_recall@20"])
    assert best["key"] in kept

    trained = []
    original = module.run_experiment

    def watch(run, *args, **options):
        trained.append(run.label)
        return original(run, *args, **options)

    monkeypatch.setattr(module, "run_experiment", watch)
    again = bench(splits, tmp_path / "out", resume=True)
    lines = again.run(GRID_SPECS, [7], recipe=GRIDS)
    assert trained == ["MF-BPR", "MF-BPR"]
    assert without_times(lines) == without_times(whole)
    assert not (tmp_path / "out" / "selected").exists()


def test_a_choice_whose_parameters_are_gone_is_trained_again(
    splits, tmp_path, monkeypatch
):
    whole = bench(splits, tmp_path).run(SPECS[:1], [7], recipe=GRIDS)
    (tmp_path / "results.jsonl").unlink()
    tests = []
    original = module.run_experiment

    def watch(run, *args, test, **options):
        tests.append(test)
        return original(run, *args, test=test, **options)

    monkeypatch.setattr(module, "run_experiment", watch)
    again = bench(splits, tmp_path, resume=True).run(SPECS[:1], [7], recipe=GRIDS)
    assert tests == [True]
    assert without_times(again) == without_times(whole)


def test_settings_of_the_embedded_catalogue_yield_to_those_of_the_user(
    tmp_path, monkeypatch
):
    asked = []

    def run(self, specs, seeds, *, settings, recipe):
        asked.append((specs, settings))
        return []

    monkeypatch.setattr(Benchmark, "run", run)
    source = DataSource("synthetic")
    given = {"epochs": 2}
    run_benchmark([parse_spec("mf-bpr")], source, tmp_path, settings=given)
    assert asked[0] == (
        [parse_spec("MF-BPR")],
        {**source.default_settings, "epochs": 2},
    )
    recipe = Recipe([], {"epochs": 5}, {})
    run_benchmark([parse_spec("MF-BPR")], source, tmp_path, recipe=recipe)
    assert asked[1][1] == {}  # a recipe says it all


def test_no_system_left_is_an_error_before_anything_is_written(tmp_path):
    out = tmp_path / "out"
    folder = tmp_path / "data"
    write_dataset(*load_dataset("synthetic", modalities=["visual"]), folder)
    left_out = {}
    with pytest.raises(UserError, match="the data suit none of PAMD, MMGCN"):
        run_benchmark(
            [parse_spec("PAMD"), parse_spec("MMGCN+SEA")],
            DataSource(str(folder)),
            out,
            required=False,
            on_left_out=left_out.__setitem__,
        )
    assert list(left_out) == ["PAMD", "MMGCN+SEA"]
    assert not out.exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lrr": 1}, "unknown option 'lrr' - did you mean 'lr'"),
        ({"reg_weight": -1}, "'reg_weight' must be at least 0"),
        ({"batch_size": 0}, "'batch_size' must be at least 1"),
    ],
)
@pytest.mark.parametrize("required", [True, False])
def test_a_mistake_shows_before_the_first_system_is_trained(
    splits, tmp_path, settings, message, required
):
    write_dataset(*splits, tmp_path / "toy")
    source, out = DataSource(str(tmp_path / "toy")), tmp_path / "out"
    with pytest.raises(UserError, match=message):
        run_benchmark(SPECS, source, out, settings=settings, required=required)
    assert not out.exists()


def test_a_folder_of_another_benchmark_that_runs_is_refused(tmp_path):
    source = DataSource("synthetic")
    with (
        locked_folder(tmp_path),
        pytest.raises(UserError, match=r"process \d+ on .* is writing there - wait"),
    ):
        run_benchmark([parse_spec("MF-BPR")], source, tmp_path, seeds=[1])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_models_that_are_kept_are_runs_like_those_of_a_training(tmp_path, jobs):
    splits = load_dataset("synthetic")
    write_dataset(*splits, tmp_path / "data")
    source = DataSource(str(tmp_path / "data"))
    out = tmp_path / "out"
    lines = run_benchmark(
        GRID_SPECS,
        source,
        out,
        seeds=[7],
        recipe=GRIDS,
        floors=True,
        device="cpu",
        jobs=jobs,
        keep_models=True,
    )
    for line in lines[1:]:
        (folder,) = (out / "models").glob(f"*-7-{line['key'][:8]}")
        assert folder.name.startswith(line["spec"].split(":")[0])
        again = evaluate_run(folder, "test")
        assert again == pytest.approx(line["metrics"]["test"], rel=1e-12)
        assert load_run(folder).info["options"] == line["options"]
    assert len(list((out / "models").iterdir())) == len(lines) - 1
    assert read_results(out) == lines


def test_no_models_are_kept_unasked_and_they_need_a_source(splits, tmp_path):
    bench(splits, tmp_path).run(SPECS[:1], [1], settings=SETTINGS)
    assert not (tmp_path / "models").exists()
    with pytest.raises(ValueError, match="need a source"):
        bench(splits, tmp_path, keep_models=True)
