from __future__ import annotations

import json
import shlex
import sys

import numpy as np
import pytest

from mmgraph.analysis import diagnose
from mmgraph.analysis.redundancy import page as redundancy_page
from mmgraph.analysis.redundancy.page import diagnosis_page
from mmgraph.cli import main
from mmgraph.data import load_dataset, open_features
from mmgraph.files import read_json
from mmgraph.schema import INTERACTS


def run(*words):
    return main(["diagnose", *map(str, words), "--device", "cpu"])


def diagnosis(data):
    interactions = load_dataset(data)[:2]
    return diagnose(open_features(data), interactions=interactions, seed=3)


def test_json_is_the_diagnosis_and_the_file(catalogue, tmp_path, capsys):
    out = tmp_path / "new" / "report"
    words = ("--out", out, "--seed", 3, "--json", "--quiet")
    assert run("--data", catalogue, *words) == 0
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert read_json(out / "diagnosis.json") == result
    assert shown.err == ""
    expected = diagnosis(catalogue).to_dict()
    expected = json.loads(json.dumps(expected))
    assert expected["probe"]["split"] == "valid"
    assert {key: result[key] for key in expected} == expected
    assert result["data"] == str(catalogue)
    assert result["seconds"] > 0
    assert result["peak_memory_bytes"] > 10**7


def test_tables_are_on_stdout_and_steps_on_stderr(catalogue, tmp_path, capsys):
    assert run("--data", catalogue, "--out", tmp_path, "--centres", 20) == 0
    shown = capsys.readouterr()
    result = json.loads((tmp_path / "diagnosis.json").read_text())
    (pair,) = result["pairs"]
    assert result["settings"]["num_centres"] == 20
    assert f"visual and textual, {pair['rows']} items with both" in shown.out
    (line,) = (x for x in shown.out.splitlines() if x.startswith("suggested rank"))
    assert line.split() == ["suggested", "rank", str(pair["suggested_rank"])]
    overlap = pair["neighbour_overlap"]["10"]
    assert f"{overlap['value']:.4f}" in shown.out
    assert f"{pair['costs'][0]['energy_removed']['visual']:.1%}" in shown.out
    assert pair["reason"] in shown.out
    for note in pair["notes"]:
        assert f"Note: {note}" in shown.out
    assert shown.out.endswith(f"\n{tmp_path / 'report.html'}\n")
    assert "comparing visual and textual" in shown.err


def test_names_in_brackets_are_shown(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in ("a[red]", "b[new]"):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(60, 8)))
    assert run("--data", tmp_path, "--out", tmp_path / "out", "--quiet") == 0
    assert "\na[red] and b[new], 60 items" in capsys.readouterr().out


def test_the_embedded_catalogue_can_be_named(tmp_path, capsys):
    assert run("--data", "synthetic", "--out", tmp_path, "--json", "--quiet") == 0
    (pair,) = json.loads(capsys.readouterr().out)["pairs"]
    assert pair["suggested_rank"] == 4


def test_the_report_is_the_page_of_the_diagnosis(
    catalogue, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(redundancy_page, "provenance", lambda command: {"By": command})
    words = ("--data", catalogue, "--out", tmp_path, "--seed", 3, "--quiet")
    assert run(*words) == 0
    typed = ["mmgraph", "diagnose", *map(str, words), "--device", "cpu"]
    expected = diagnosis_page(
        diagnosis(catalogue), catalogue, {"By": shlex.join(typed)}
    )
    assert (tmp_path / "report.html").read_text("utf-8") == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "diagnosis.json",
        "report.html",
    ]


def test_without_matplotlib_the_report_has_no_figures(
    catalogue, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert run("--data", catalogue, "--out", tmp_path, "--json", "--quiet") == 0
    assert capsys.readouterr().err == ""
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "figures need matplotlib" in text
    assert "<img" not in text


def test_one_modality_says_that_there_is_no_pair(tmp_path, capsys):
    np.save(tmp_path / "visual.npy", np.random.default_rng(0).random((9, 2)))
    assert run("--data", tmp_path, "--out", tmp_path / "out") == 0
    assert "Note: There is one modality: no pair to compare." in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["no folder", "no file", "nan", "out is a file"])
def test_errors_are_one_line_and_leave_nothing(tmp_path, capsys, kind):
    data, out = tmp_path / "shop", tmp_path / "out"
    if kind != "no folder":
        data.mkdir()
    if kind in ("nan", "out is a file"):
        x = np.ones((5, 2), np.float32)
        x[3, 1] = np.nan if kind == "nan" else 1
        np.save(data / "visual.npy", x)
    if kind == "out is a file":
        out.touch()
    assert run("--data", data, "--out", out) == 2
    line = {
        "no folder": "shop: no such folder - give a data folder",
        "no file": "shop: no feature file - add <modality>_feat.npy",
        "nan": "visual.npy: row 3 (counted from 0) holds NaN or infinity - repair",
        "out is a file": "out: is a file, no folder - choose another",
    }[kind]
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1
    assert out.is_file() if kind == "out is a file" else not out.exists()


def test_the_probe_is_shown_with_what_it_suggests(catalogue, tmp_path, capsys):
    assert run("--data", catalogue, "--out", tmp_path, "--quiet") == 0
    shown = capsys.readouterr().out
    probe = read_json(tmp_path / "diagnosis.json")["probe"]
    assert probe["suggestion"] in shown
    assert f"recall@20 on validation, {probe['num_users']} users" in shown
    assert "all features side by side" in shown
    report = (tmp_path / "report.html").read_text("utf-8")
    assert "Does projecting pay here?</h2>" in report
    assert probe["suggestion"] in report


def test_the_probe_never_reads_test(catalogue, tmp_path, capsys, monkeypatch):
    results = []
    for n, positives in enumerate(("as they are", "others", "none that can be read")):
        splits = load_dataset(catalogue)
        store = splits[2][INTERACTS]
        if positives == "others":
            store.edge_label_index = store.edge_label_index.flip(1) * 0
        elif n == 2:
            splits = (*splits[:2], None)
        monkeypatch.setattr("mmgraph.data.load_dataset", lambda *_, s=splits, **__: s)
        out = tmp_path / str(n)
        assert run("--data", catalogue, "--out", out, "--quiet") == 0
        results.append(read_json(out / "diagnosis.json")["probe"])
        assert results[-1] == results[0] is not None


@pytest.mark.parametrize("words", [["--no-probe"], []])
def test_without_a_probe_or_interactions_the_rest_is_there(
    catalogue, tmp_path, capsys, words
):
    data = tmp_path / "shop"
    data.mkdir()
    for path in catalogue.iterdir():
        if words or path.name.startswith(("visual", "textual")):
            (data / path.name).write_bytes(path.read_bytes())
    assert run("--data", data, "--out", tmp_path / "out", "--quiet", *words) == 0
    result = read_json(tmp_path / "out" / "diagnosis.json")
    assert result["probe"] is None
    assert len(result["pairs"]) == 1
    left_out = [n for n in result["notes"] if n.startswith("The probe of the proj")]
    assert len(left_out) == (0 if words else 1)


def test_a_split_of_the_users_choice_is_used_or_refused(catalogue, tmp_path, capsys):
    words = ("--data", catalogue, "--quiet", "--json")
    assert run(*words, "--out", tmp_path / "a", "--split", "per_user") == 0
    assert json.loads(capsys.readouterr().out)["probe"]["num_users"] > 1
    assert run(*words, "--out", tmp_path / "b", "--split", "labl") == 2
    assert "unknown split 'labl'" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()
