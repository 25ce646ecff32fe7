from __future__ import annotations

import json

import pytest

from mmgraph.analysis.reproduce.ablation import clear_figure_3, sea_figure_3


def test_variants_and_changes_are_those_of_the_runs(make_lab, tmp_path):
    lab = make_lab(tmp_path, grid={"energy": [0.5, 0.9]}, seeds=(1, 2))
    lab.__dict__["dataset"] = "baby"
    outcome = clear_figure_3(lab)
    found = {}
    for line in map(json.loads, (tmp_path / "runs" / "results.jsonl").open()):
        found.setdefault(line["spec"], []).append(line["metrics"]["test"]["ndcg@20"])
    names = {
        "full": "CLEAR",
        "without null space": "CLEAR:strength=0",
        "dynamic ratio 0.5": "CLEAR:energy=0.5",
        "dynamic ratio 0.9": "CLEAR:energy=0.9",
    }
    variants = outcome.numbers["variants"]
    assert {name: entry["spec"] for name, entry in variants.items()} == names
    full = sum(found["CLEAR"]) / 2
    for name, spec in names.items():
        mean = sum(found[spec]) / 2
        assert variants[name]["ndcg@20"]["mean"] == pytest.approx(mean)
        if name != "full":
            change = variants[name]["change_ndcg@20"]
            assert change == pytest.approx(mean / full - 1)
    assert variants["full"]["change_ndcg@20"] is None
    printed = [row[-1] for row in outcome.tables[0].rows]
    assert printed == ["", "-2.4 %", "", ""]
    (figure,) = outcome.figures
    assert figure.image.startswith(b"<?xml")
    assert "means over 2 seeds" in figure.caption


def test_seas_parts_are_taken_away_by_their_weights(make_lab, tmp_path):
    lab = make_lab(tmp_path)
    outcome = sea_figure_3(lab)
    options = {
        line["spec"]: (
            line["options"]["align_weight"],
            line["options"]["distance_weight"],
        )
        for line in map(json.loads, (tmp_path / "runs" / "results.jsonl").open())
        if line["model"] == "SEA"
    }
    variants = outcome.numbers["variants"]
    weights = {name: options[entry["spec"]] for name, entry in variants.items()}
    assert weights == {
        "full": (0.012, 0.003),
        "without distancing": (0.012, 0),
        "without alignment": (0, 0.003),
        "without all": (0, 0),
    }
    assert "seeds" not in outcome.figures[0].caption
