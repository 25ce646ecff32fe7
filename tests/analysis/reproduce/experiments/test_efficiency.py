from __future__ import annotations

import json
from statistics import median

import pytest

from mmgraph.analysis.leaderboard.published import published_cost
from mmgraph.analysis.reproduce.experiments import efficiency
from mmgraph.analysis.reproduce.experiments.efficiency import (
    CLEAR_TABLE_4,
    SEA_TABLE_5,
    clear_table_4,
    sea_table_5,
)


@pytest.mark.parametrize(
    ("table", "systems", "own"),
    [
        (clear_table_4, "CLEAR_TABLE_4", "CLEAR"),
        (sea_table_5, "SEA_TABLE_5", "SEAb"),
    ],
)
def test_costs_are_those_of_the_runs(
    table, systems, own, make_context, tmp_path, monkeypatch
):
    monkeypatch.setattr(efficiency, systems, ("MF-BPR@released", own))
    context = make_context(tmp_path, seeds=(1, 2), epochs=3)
    context.__dict__["dataset"] = "sports"
    result = table(context)
    lines = [json.loads(line) for line in (tmp_path / "runs" / "results.jsonl").open()]
    assert result.numbers["epochs"] == 3
    assert [row[0] for row in result.tables[0].rows] == ["MF-BPR@released", own]
    seconds = {}
    for name, *row in result.tables[0].rows:
        runs = [line for line in lines if line["spec"] == name]
        assert [run["epochs"] for run in runs] == [3, 3]
        entry = result.numbers["systems"][name]
        seconds[name] = median(run["seconds_per_epoch"] for run in runs)
        assert entry["seconds_per_epoch"] == seconds[name]
        assert entry["peak_memory_bytes"] == max(r["peak_memory_bytes"] for r in runs)
        assert row[1] == f"{seconds[name] / seconds['MF-BPR@released']:.2f}"
        paper = published_cost("sports", name.partition("@")[0])
        assert row[3:] == [paper["seconds_per_epoch"], paper["memory_gb"]]


def test_few_epochs_are_enough_unless_the_user_says_otherwise(
    make_context, tmp_path, monkeypatch
):
    monkeypatch.setattr(efficiency, "CLEAR_TABLE_4", ("MF-BPR",))
    context = make_context(tmp_path, settings={"epochs": 1000})
    assert clear_table_4(context).numbers["epochs"] == 6
    assert [epochs for _, _, epochs in context.watch.seen] == [6]


@pytest.mark.parametrize("systems", [CLEAR_TABLE_4, SEA_TABLE_5])
def test_every_system_of_the_tables_has_a_published_cost(systems):
    for name in systems:
        assert published_cost("clothing", name.partition("@")[0])["memory_gb"] > 0
