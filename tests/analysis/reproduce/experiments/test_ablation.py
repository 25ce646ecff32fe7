from __future__ import annotations

import json

import pytest

from mmgraph.analysis.reproduce.experiments.ablation import clear_figure_3, sea_figure_3


def test_variants_and_changes_are_those_of_the_runs(make_context, tmp_path):
    context = make_context(tmp_path, grid={"energy": [0.5, 0.9]}, seeds=(1, 2))
    context.__dict__["dataset"] = "baby"
    result = clear_figure_3(context)
    found = {}
    for line in map(json.loads, (tmp_path / "runs" / "results.jsonl").open()):
        found.setdefault(line["spec"], []).append(line["metrics"]["test"]["ndcg@20"])
    names = {
        "full": "CLEAR",
        "without null space": "CLEAR:strength=0",
        "dynamic ratio 0.5": "CLEAR:energy=0.5",
        "dynamic ratio 0.9": "CLEAR:energy=0.9",
    }
    variants = result.numbers["variants"]
    assert {name: entry["spec"] for name, entry in variants.items()} == names
    full = sum(found["CLEAR"]) / 2
    for name, spec in names.items():
        mean = sum(found[spec]) / 2
        assert variants[name]["ndcg@20"]["mean"] == pytest.approx(mean)
        if name != "full":
            change = variants[name]["change_ndcg@20"]
            assert change == pytest.approx(mean / full - 1)
    assert variants["full"]["change_ndcg@20"] is None
    printed = [row[-1] for row in result.tables[0].rows]
    assert printed == ["", "-2.4 %", "", ""]
    figure, refreshes = result.figures
    assert figure.image.startswith(b"<?xml")
    assert "means over 2 seeds" in figure.caption
    assert "a line per seed" in refreshes.caption


def test_refreshes_and_undo_ratios_are_those_of_the_histories(make_context, tmp_path):
    settings = {"epochs": 3, "strength": 0.6}
    context = make_context(
        tmp_path, grid={"energy": [0.5]}, seeds=(1, 2), settings=settings
    )
    result = clear_figure_3(context)
    rows = {}
    for line in map(json.loads, (tmp_path / "runs" / "results.jsonl").open()):
        if line["spec"].startswith("CLEAR"):
            path = tmp_path / "runs" / "history" / f"{line['key']}.jsonl"
            rows[line["spec"], line["seed"]] = [*map(json.loads, path.open())]
    assert len(rows) == 6
    for entry in result.numbers["variants"].values():
        for run in entry["runs"]:
            own = rows[entry["spec"], run["seed"]]
            base = rows["CLEAR:strength=0", run["seed"]]
            textual = run["refreshes"]["textual"]
            assert textual["epoch"] == [1, 2, 3]
            assert textual["rank"] == [row["measure/textual/rank"] for row in own]
            assert textual["affinity"] == [
                row.get("measure/textual/affinity") for row in own
            ]
            if entry["spec"] == "CLEAR:strength=0":
                assert run["undo_ratio"] == {"epoch": [], "ratio": []}
                continue
            for n, ratios in enumerate(run["undo_ratio"]["ratio"]):
                for i in range(min(4, own[n]["measure/visual/rank"])):
                    key = f"measure/visual/sigma_{i + 1}"
                    expected = 0.4**2 * own[n][key] / base[n][key]
                    assert ratios[i] == pytest.approx(expected, rel=1e-12)
                assert len(ratios) == min(4, own[n]["measure/visual/rank"])
        assert [run["seed"] for run in entry["runs"]] == [1, 2]
    # The first epoch starts from the same encoders, so there nothing has grown yet.
    first = result.numbers["variants"]["full"]["runs"][0]["undo_ratio"]["ratio"][0]
    assert first == pytest.approx([0.16] * 2, rel=1e-12)


def test_seas_parts_are_taken_away_by_their_weights(make_context, tmp_path):
    context = make_context(tmp_path)
    result = sea_figure_3(context)
    options = {
        line["spec"]: (
            line["options"]["align_weight"],
            line["options"]["distance_weight"],
        )
        for line in map(json.loads, (tmp_path / "runs" / "results.jsonl").open())
        if line["model"] == "SEA"
    }
    variants = result.numbers["variants"]
    weights = {name: options[entry["spec"]] for name, entry in variants.items()}
    assert weights == {
        "full": (0.012, 0.003),
        "without distancing": (0.012, 0),
        "without alignment": (0, 0.003),
        "without all": (0, 0),
    }
    assert result.tables[0].columns[-1] == "p (Wilcoxon)"  # no paper has these
    assert not any(note.startswith("Paper:") for note in result.notes)
    (figure,) = result.figures
    assert "seeds" not in figure.caption
    assert "runs" not in variants["full"]
    assert variants["full"]["comparison"] is None
    for name in ("without distancing", "without alignment", "without all"):
        assert variants[name]["comparison"]["base"] == "SEA"
