from __future__ import annotations

import pytest

from mmgraph.bench.benchmark import run_benchmark
from mmgraph.bench.config import canonical
from mmgraph.bench.recipe import Recipe, System
from mmgraph.bench.results_folder import read_results
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import ModelSpec, parse_spec
from mmgraph.errors import UserError
from mmgraph.files import write_json
from mmgraph.tuning.chosen import chosen_options

SPECS = [parse_spec("MF-BPR"), parse_spec("LightGCN:num_layers=1")]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    settings = {"embedding_dim": 4, "epochs": 3}
    grid = Recipe([], settings, {"MF-BPR": System({}, [{"lr": [1e-5, 0.05]}])})
    run_benchmark(
        SPECS, DataSource("synthetic"), out, seeds=[1, 2], recipe=grid, device="cpu"
    )
    return out


def test_the_choice_of_a_benchmark_is_that_of_its_lines(bench):
    for spec in map(canonical, SPECS):
        runs = [line for line in read_results(bench) if line["spec"] == str(spec)]
        settings, epoch = chosen_options(bench, spec)
        assert settings == {**runs[0]["options"], **runs[0]["trainer"]}
        assert min(r["best_epoch"] for r in runs) <= epoch
        assert epoch == max(line["best_epoch"] for line in runs)  # the higher of two
    assert chosen_options(bench, SPECS[0]).settings["lr"] == 0.05


def test_the_choice_of_a_search_is_its_best(tmp_path):
    best = {"value": 0.1, "epoch": 7, "options": {"lr": 0.01}}
    found = {"spec": "MF-BPR", "settings": {"epochs": 9, "lr": 1.0}, "best": best}
    write_json(tmp_path / "tune.json", found)
    assert chosen_options(tmp_path, SPECS[0]) == ({"epochs": 9, "lr": 0.01}, 7)


def test_what_is_not_there_is_named(bench, tmp_path):
    with pytest.raises(UserError, match=r"unknown system 'VBPR'.*MF-BPR"):
        chosen_options(bench, parse_spec("VBPR"))
    with pytest.raises(UserError, match="not a folder of a benchmark or a search"):
        chosen_options(tmp_path, SPECS[0])
    with pytest.raises(UserError, match="unknown system 'Popularity'"):
        chosen_options(bench, ModelSpec("Popularity"))


def test_two_choices_in_one_folder_are_not_mixed(tmp_path):
    for lr, epochs in ((0.01, 1), (0.02, 2)):
        settings = {"embedding_dim": 4, "lr": lr, "epochs": epochs}
        run_benchmark(
            SPECS[:1],
            DataSource("synthetic"),
            tmp_path,
            seeds=[1],
            settings=settings,
            device="cpu",
            resume=True,
        )
    with pytest.raises(UserError) as error:
        chosen_options(tmp_path, canonical(SPECS[0]))
    assert str(error.value) == (
        f"{tmp_path}: holds runs of MF-BPR with epochs 1 and 2 - "
        "give a folder with one choice, or options with --set"
    )
