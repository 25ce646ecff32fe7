from __future__ import annotations

import json

from typer.testing import CliRunner

from mmgraph.cli.data import app


def run(*args):
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_info_prints_a_table():
    shown = run("info", "synthetic").stdout
    for text in ("1,000", "600", "sparsity", "visual", "textual"):
        assert text in shown
    assert run("info", "synthetic", "--quiet").stdout == ""


def test_names_in_brackets_are_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = run("synth", "--out", "shop[new]", "--modality", "a[red]=16").stdout
    assert "shop[new]" in shown
    assert "a[red]" in shown


def test_a_report_of_an_import_says_what_was_taken_left_and_why(tmp_path):
    rows = ["user,item,rating", *(f"u{n % 3},i{n // 3},{n % 5}" for n in range(30))]
    (tmp_path / "log.csv").write_text("\n".join([*rows, ",i1,5", "u1,i1"]) + "\n")
    words = ["import", "--inter", tmp_path / "log.csv", "--split", "per_user"]
    words += ["--min-rating", 2, "--on-bad-rows", "drop"]
    shown = run(*words, "--out", tmp_path / "a").stdout
    lines = [line.split() for line in shown.replace("│", " ").splitlines()]
    assert ["log.csv:", "18", "of", "32", "rows", "taken"] in lines
    assert ["empty", "user", "id", "1", "32"] in lines
    assert ["rating", "below", "2", "12", "2"] in lines
    said = json.loads(run(*words, "--out", tmp_path / "b", "--json").stdout)["import"]
    assert (said["files"], said["rows"], said["taken"]) == (["log.csv"], 32, 18)
    assert said["left"][1:] == [
        {"kind": "empty user id", "rows": 1, "first_row": 32, "file": "log.csv"},
        {"kind": "rating below 2", "rows": 12, "first_row": 2, "file": "log.csv"},
    ]
