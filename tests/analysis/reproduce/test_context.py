from __future__ import annotations

import importlib.util
import sys

import pytest
import torch
from fake_ray import FakeRay

from mmgraph.bench.benchmark import Benchmark
from mmgraph.bench.config import run_config
from mmgraph.bench.experiment import run_experiment
from mmgraph.bench.recipe import Recipe, System
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import parse_spec
from mmgraph.data import load_dataset
from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS
from mmgraph.train.evaluation import evaluate


def test_systems_that_do_not_fit_are_named(make_context, tmp_path):
    one = load_dataset("synthetic", modalities=["visual"])
    context = make_context(tmp_path, data=(DataSource("synthetic"), one, ""))
    heads = "VBPR+SEA:score_heads=true"  # for two modalities
    fitting, (missing,) = context.buildable(["MF-BPR@released", heads])
    assert [str(spec) for spec in fitting] == ["MF-BPR@released"]
    assert missing.startswith(f"{heads} is left out: SEAPlugin: 'score_heads' needs")
    with pytest.raises(UserError, match="'score_heads' needs"):
        context.buildable([heads], required=True)


def test_settings_that_do_not_go_together_are_no_reason_to_leave_out(
    make_context, tmp_path
):
    context = make_context(tmp_path, settings={"reg_weight": 0})
    with pytest.raises(UserError, match="do not reach its scores"):
        context.buildable(["MF-BPR@released", "FREEDOM+SEA"])
    with pytest.raises(UserError, match="do not reach its scores"):
        make_context(tmp_path).buildable(["MF-BPR", "FREEDOM+SEA:reg_weight=0"])


def test_a_data_set_of_the_papers_is_recognised_by_its_counts(
    make_context, tmp_path, toy
):
    context = make_context(tmp_path)
    assert context.dataset is None
    pairs = torch.zeros(2, 160792, dtype=torch.long)
    splits = []
    for split, columns in zip(toy[1], (100000, 60000, 792), strict=True):
        split = split.clone()
        split["user"].num_nodes, split["item"].num_nodes = 19445, 7050
        split[INTERACTS].edge_label_index = pairs[:, :columns]
        splits.append(split)
    other = make_context(tmp_path)
    other.splits = tuple(splits)
    assert other.dataset == "baby"


TIMES = {"seconds_per_epoch", "seconds_per_evaluation", "peak_memory_bytes"}


def bench(context):
    lines = context.bench([parse_spec("MF-BPR"), parse_spec("VBPR")])
    return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]


def test_runs_of_tables_can_be_done_on_a_cluster(make_context, tmp_path, monkeypatch):
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    here = bench(make_context(tmp_path / "here"))
    there = bench(make_context(tmp_path / "there", ray="10.0.0.1:6379", gpus=0.5))
    assert there == here
    assert fake.calls[0] == "10.0.0.1:6379"
    assert fake.calls[1]["num_gpus"] == 0.5


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray")
def test_runs_of_tables_on_workers_of_ray(make_context, tmp_path):
    import ray

    here = bench(make_context(tmp_path / "here"))
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        assert bench(make_context(tmp_path / "there", ray="auto")) == here
    finally:
        ray.shutdown()


def test_lines_come_in_the_order_of_the_systems_and_runs_are_found_again(
    make_context, tmp_path
):
    context = make_context(tmp_path, seeds=(1, 2))
    specs, _ = context.buildable(["VBPR", "MF-BPR"])
    lines = context.bench(specs)
    assert [(line["spec"], line["seed"]) for line in lines] == [
        *(("VBPR", 1), ("VBPR", 2), ("MF-BPR", 1), ("MF-BPR", 2))
    ]
    assert len(context.watch.seen) == 4
    assert set(context.per_user(lines)) == {line["key"] for line in lines}
    again = make_context(tmp_path, seeds=(1, 2))
    assert again.bench(specs[::-1]) == lines[2:] + lines[:2]
    assert again.watch.seen == []


def test_what_one_experiment_or_a_benchmark_trained_no_other_trains_again(
    make_context, tmp_path
):
    one, other = (make_context(tmp_path / name) for name in ("one", "other"))
    other.runs = one.runs
    specs, _ = one.buildable(["VBPR", "MF-BPR"])
    first = one.bench(specs)
    one.bench(specs, settings={"epochs": 2})  # is not taken for the other's
    one.fit("VBPR")
    assert other.bench(specs[1:]) == first[1:]
    other.fit("VBPR")
    assert other.watch.seen == []
    assert not other.folder.exists()


def test_a_point_that_a_table_has_tried_is_not_tried_again(make_context, tmp_path):
    recipe = Recipe([], {}, {"MF-BPR": System(grid=[{"reg_weight": [1e-4, 100.0]}])})
    context = make_context(tmp_path, recipe=recipe, settings={"epochs": 3})
    specs, _ = context.buildable(["MF-BPR"])
    (line,) = context.bench(specs)
    assert len(context.watch.seen) == 2
    again = make_context(tmp_path, recipe=recipe, settings={"epochs": 3})
    fitted = again.fit("MF-BPR")
    assert len(again.watch.seen) == 1
    assert fitted.line["options"] == line["options"]
    assert fitted.line["metrics"]["valid"] == line["metrics"]["valid"]


def test_systems_are_named_in_the_fidelity_that_is_asked_for(make_context, tmp_path):
    names = ["VBPR@released", "SEA", "SEA@released", "VBPR+CLEAR@released:rank=4"]
    assert make_context(tmp_path).as_asked(names) == names
    paper = make_context(tmp_path, fidelity="paper").as_asked(names)
    assert paper == ["VBPR", "SEA", "VBPR+CLEAR:rank=4"]


def test_a_fitted_model_is_that_of_a_plain_run_and_is_found_again(
    make_context, tmp_path, toy
):
    context = make_context(tmp_path, settings={"epochs": 2})
    fitted = context.fit("VBPR+CLEAR")
    run = run_config(parse_spec("VBPR+CLEAR"), context.settings)
    plain = run_experiment(
        run, toy[1], data="toy", data_sha256=toy[2], seed=999, device="cpu"
    )
    expected = plain.model.state_dict()
    assert {*fitted.model.state_dict()} == {*expected}
    for name, tensor in fitted.model.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0)
    assert fitted.line["metrics"] == {"valid": plain.line["metrics"]["valid"]}
    again = make_context(tmp_path, settings={"epochs": 2})
    assert evaluate(again.fit("VBPR+CLEAR").model, toy[1][2]) == evaluate(
        fitted.model, toy[1][2]
    )
    assert len(context.watch.seen) == 1
    assert again.watch.seen == []


def test_the_untrained_model_is_where_the_training_began(make_context, tmp_path):
    context = make_context(tmp_path, settings={"epochs": 1, "lr": 1e-30})
    fitted = context.fit("VBPR")
    for name, tensor in fitted.untrained.state_dict().items():
        torch.testing.assert_close(tensor, fitted.model.state_dict()[name])


def test_a_grid_is_decided_on_validation_and_its_winner_is_not_trained_again(
    make_context, tmp_path
):
    recipe = Recipe([], {}, {"MF-BPR": System(grid=[{"reg_weight": [1e-4, 100.0]}])})
    context = make_context(tmp_path, recipe=recipe, settings={"epochs": 3})
    fitted = context.fit("MF-BPR")
    assert len(context.watch.seen) == 2
    valid = {}
    for weight in (1e-4, 100.0):
        other = make_context(tmp_path / str(weight), settings={"epochs": 3})
        line = other.fit(f"MF-BPR:reg_weight={weight}").line
        valid[weight] = line["metrics"]["valid"]["recall@20"]
    best = max(valid, key=valid.get)
    assert fitted.line["options"]["reg_weight"] == best
    assert fitted.line["metrics"]["valid"]["recall@20"] == valid[best]


def test_a_grid_of_a_figure_is_decided_on_the_seeds_that_the_recipe_says(
    make_context, tmp_path
):
    systems = {"MF-BPR": System(grid=[{"reg_weight": [1e-4, 100.0]}])}
    recipe = Recipe([], {}, systems, selection_seeds=2)
    context = make_context(
        tmp_path, recipe=recipe, settings={"epochs": 2}, seeds=(1, 2, 3)
    )
    fitted = context.fit("MF-BPR")
    assert len(context.watch.seen) == 4  # two points, two seeds
    assert fitted.line["seed"] == 1


def test_a_search_can_be_left_out(make_context, tmp_path):
    systems = {"MF-BPR": System({"embedding_dim": 4}, [{"reg_weight": [0.1, 0.2]}])}
    context = make_context(tmp_path, recipe=Recipe([], {}, systems))
    context.settings.pop("embedding_dim")
    specs, _ = context.buildable(["MF-BPR"])
    (line,) = context.bench(specs, search=False, settings={"epochs": 2})
    assert len(context.watch.seen) == 1
    assert line["options"]["embedding_dim"] == 4
    assert line["trainer"]["epochs"] == 2
    assert isinstance(context._benchmark, Benchmark)


def test_data_with_one_modality_are_refused_in_one_line(make_context, tmp_path, toy):
    context = make_context(tmp_path)
    bare = toy[1][0].clone()
    del bare["item"].x_textual
    context.splits = (bare, *toy[1][1:])
    with pytest.raises(UserError) as caught:
        context.require_modalities()
    assert str(caught.value) == (
        "this experiment compares modalities and toy has 1 - "
        "use data with 2 modalities or more"
    )
