from __future__ import annotations

import json

import pytest

from mmgraph.analysis.leaderboard.render import comparison_cells
from mmgraph.analysis.leaderboard.table import Comparison
from mmgraph.analysis.reproduce.experiments import accuracy
from mmgraph.analysis.reproduce.experiments.accuracy import (
    CLEAR_TABLE_2,
    CLEAR_TABLE_3,
    SEA_TABLE_2,
    clear_table_2,
    clear_table_3,
    sea_table_2,
    sea_table_3,
    sea_table_4,
)
from mmgraph.bench.config import canonical
from mmgraph.bench.spec import parse_spec
from mmgraph.models.registry import resolve_model


def results(folder):
    lines = [json.loads(line) for line in (folder / "runs" / "results.jsonl").open()]
    return {line["spec"]: line["metrics"]["test"] for line in lines}


# As the papers print them.
_BOTH = ("MF-BPR", "LightGCN", "LayerGCN", "VBPR", "MMGCN", "DualGNN", "LATTICE")
CLEAR_ORDER = [
    *(*_BOTH, "SLMRec", "BM3", "MMSSL", "FREEDOM", "MGCN", "LGMRec", "MENTOR"),
    "CLEAR",
]
SEA_ORDER = [
    *(*_BOTH, "SLMRec", "MICRO", "PAMD", "BM3", "MMSSL", "FREEDOM", "MGCN", "LGMRec"),
    "SEA",
]


@pytest.mark.parametrize(
    ("systems", "order"), [(CLEAR_TABLE_2, CLEAR_ORDER), (SEA_TABLE_2, SEA_ORDER)]
)
def test_the_systems_are_those_of_the_table_in_its_order(systems, order):
    names = [parse_spec(name).model for name in systems]
    assert list(dict.fromkeys(names)) == order


@pytest.mark.parametrize("systems", [CLEAR_TABLE_2, SEA_TABLE_2])
def test_systems_of_others_run_as_their_public_code_where_that_differs(systems):
    for spec in map(parse_spec, systems):
        has_released = "released" in resolve_model(spec.model)[1].fidelities
        if spec.model not in ("SEA", "PAMD"):
            assert (spec.fidelity == "released") == has_released, spec


@pytest.mark.parametrize("table", [clear_table_2, sea_table_2])
def test_every_system_of_a_table_has_its_row(table, make_context, tmp_path):
    context = make_context(tmp_path)
    context.__dict__["dataset"] = "baby"
    result = table(context)
    systems = {clear_table_2: CLEAR_TABLE_2, sea_table_2: SEA_TABLE_2}[table]
    found = results(tmp_path)
    rows = {row[0]: row for row in result.tables[0].rows}
    assert list(rows) == list(systems)
    for name in systems:
        measured = rows[name][1:5]
        test = found[str(canonical(parse_spec(name)))]
        keys = ("recall@10", "recall@20", "ndcg@10", "ndcg@20")
        assert measured == [f"{test[key]:.4f}" for key in keys]
    assert rows["MF-BPR@released"][5:9] == ["0.0357", "0.0575", "0.0192", "0.0249"]
    ratio = found["MF-BPR@released"]["recall@20"] / 0.0575
    assert rows["MF-BPR@released"][9] == f"{100 * ratio:.0f} %"


def test_nothing_published_stands_beside_other_data(
    make_context, tmp_path, monkeypatch
):
    monkeypatch.setattr(accuracy, "SEA_TABLE_4", ("SEAb",))
    result = sea_table_4(make_context(tmp_path))
    (row,) = result.tables[0].rows
    assert row[0] == "SEAb"
    assert len(row) == 5
    assert not any("paper" in name.lower() for name in result.tables[0].columns)
    assert any("none of the papers' data sets" in note for note in result.notes)
    assert result.numbers["systems"]["SEAb"]["published"] is None


@pytest.mark.parametrize(
    ("table", "plugin"), [(clear_table_3, "CLEAR"), (sea_table_3, "SEA")]
)
def test_plug_ins_are_compared_with_their_hosts(table, plugin, make_context, tmp_path):
    context = make_context(tmp_path)
    context.__dict__["dataset"] = "baby"
    result = table(context)
    found = results(tmp_path)
    systems = result.numbers["systems"]
    for name, entry in systems.items():
        host = name.partition("+")[0] + "@released"
        if "+" not in name:
            assert entry["improvement"] is None
            continue
        ratio = found[name]["recall@20"] / found[host]["recall@20"]
        assert entry["improvement"]["recall@20"] == pytest.approx(ratio - 1)
        # Interval and p are of the improvement that stands beside them.
        assert entry["comparison"]["base"] == host
        difference = found[name]["recall@20"] - found[host]["recall@20"]
        assert entry["comparison"]["difference"] == pytest.approx(difference)
        shown = next(row for row in result.tables[0].rows if row[0] == name)
        assert shown[6:13] == comparison_cells(Comparison(**entry["comparison"]))
    # As the papers print their improvements.
    vbpr, freedom = {"CLEAR": (17.04, 0.81), "SEA": (12.07, 2.12)}[plugin]
    for host, printed in (("VBPR", vbpr), ("FREEDOM", freedom)):
        entry = systems[f"{host}+{plugin}@released"]
        change = 100 * entry["published_improvement"]["recall@20"]
        assert change == pytest.approx(printed, abs=0.006)
    if plugin == "CLEAR":
        assert list(systems) == list(CLEAR_TABLE_3)
        graph = systems["FREEDOM+CLEAR@released:where=graph"]
        assert graph["published"] == systems["FREEDOM+CLEAR@released"]["published"]
        assert graph["improvement"] is not None
    else:
        heads, plain = (
            systems[f"VBPR+SEA@released{form}"] for form in (":score_heads=true", "")
        )
        assert heads["published"] == plain["published"]


def test_floors_stand_under_the_table(make_context, tmp_path):
    result = clear_table_3(make_context(tmp_path))
    found = results(tmp_path)
    floors = result.numbers["floors"]
    assert list(floors) == [
        *("Popularity", "ItemKNN", "ContentKNN", "ContentKNN:modality=visual"),
        "ContentKNN:modality=textual",
    ]
    (note,) = (note for note in result.notes if note.startswith("R@20 of floors"))
    for name, metrics in floors.items():
        assert metrics["recall@20"] == found[name]["recall@20"]
        text = f"{metrics['recall@20']:.4f}"
        assert f"{name} {text}" in note
