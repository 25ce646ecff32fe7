from __future__ import annotations

import json

import pytest

from mmgraph.analysis.reproduce.complete_items import complete_features as features
from mmgraph.analysis.reproduce.experiments.convergence import sea_convergence

SETTINGS = {"epochs": 3, "batch_size": 100}


@pytest.fixture(scope="module")
def result(make_context, tmp_path_factory):
    folder = tmp_path_factory.mktemp("convergence")
    context = make_context(folder, seeds=(1, 2), settings=SETTINGS)
    return sea_convergence(context), folder / "runs"


def test_curves_are_those_of_the_histories(result):
    result, runs = result
    lines = [*map(json.loads, (runs / "results.jsonl").open())]
    lines = {(line["spec"], line["seed"]): line for line in lines}
    assert [(run["name"], run["seed"]) for run in result.numbers["runs"]] == [
        ("SEA@released", 1),
        ("SEA@released", 2),
        ("SEA", 1),
        ("SEA", 2),
    ]
    for run in result.numbers["runs"]:
        line = lines[run["name"], run["seed"]]
        rows = map(json.loads, (runs / "history" / f"{line['key']}.jsonl").open())
        expected = [(row["epoch"], row["valid/recall@20"]) for row in rows]
        assert run["curve"] == expected
        assert run["epochs"] == len(expected) == 3
        assert run["test"] == line["metrics"]["test"]["recall@20"]
        train = line["counts"]["train"]
        assert run["batches_per_epoch"] == len(range(0, train, 100))
        best = max(value for _, value in expected)
        assert best == line["metrics"]["valid"]["recall@20"]
        drawn = [
            row
            for row in result.figures[0].data.rows
            if row[:2] == [run["name"], run["seed"]]
        ]
        assert [row[4] for row in drawn] == [value / best for _, value in expected]


# Typed from the description of the logs, apart from the data file.
@pytest.mark.parametrize(
    ("name", "batches", "epochs", "best", "valid", "test", "first", "after_21"),
    [
        ("baby", 58, 107, 86, "0.0996", "0.1033", "52 %", "92 %"),
        ("sports", 107, 166, 145, "0.1117", "0.1145", "49 %", "86 %"),
        ("clothing", 97, 214, 183, "0.0990", "0.0953", "40 %", "83 %"),
    ],
)
def test_the_logs_stand_below_the_runs(
    result, name, batches, epochs, best, valid, test, first, after_21
):
    (table,) = result[0].tables
    row = next(row for row in table.rows if row[0] == f"authors' log, {name}")
    assert row[2:7] == [batches, epochs, best, valid, test]
    at = dict(zip(table.columns, row, strict=True))
    assert (at["after 1"], at["after 21"]) == (first, after_21)


def test_of_other_data_the_shape_alone_compares(result):
    result, _ = result
    assert not result.numbers["levels_compare"]
    (about,) = result.paragraphs
    assert "Of toy there is no log" in about
    assert "what compares is the shape" in about
    assert "(dashed)" in result.figures[0].caption
    assert "log of" not in result.figures[0].caption


def test_on_data_of_a_log_the_levels_stand_beside_it(make_context, tmp_path):
    context = make_context(tmp_path)
    context.__dict__["dataset"] = "baby"
    result = sea_convergence(context)
    assert result.numbers["levels_compare"]
    (about,) = result.paragraphs
    assert "toy has the counts of the authors' baby" in about
    found = ", ".join(f"{m} {x.size(1)}" for m, x in features(context).items())
    assert f"have other features ({found}; theirs: visual 4096, textual 384)" in about
    assert "in the authors' log of baby (dashed)" in result.figures[0].caption


def test_a_size_that_the_trainer_finds_is_known(make_context, tmp_path):
    context = make_context(tmp_path, settings={"batch_size": "auto"})
    result = sea_convergence(context)
    assert {run["batches_per_epoch"] for run in result.numbers["runs"]} == {1}
