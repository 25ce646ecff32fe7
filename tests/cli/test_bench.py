from __future__ import annotations

import json

from mmgraph.cli import main

TINY = ["--set", "embedding_dim=8", "--epochs", "2", "--device", "cpu", "--quiet"]


def bench(catalogue, out, *words):
    return main(["bench", *words, "--data", str(catalogue), "--out", str(out), *TINY])


def lines(out):
    return [json.loads(line) for line in (out / "results.jsonl").open()]


def test_results_leaderboard_and_report_are_written(catalogue, tmp_path, capsys):
    specs = ["VBPR", "VBPR+CLEAR:rank=2", "MF-BPR"]
    assert bench(catalogue, tmp_path, *specs, "--seeds", "2") == 0
    found = lines(tmp_path)
    assert [(line["spec"], line["seed"]) for line in found[1:]] == [
        (spec, seed) for spec in specs for seed in (999, 1000)
    ]
    markdown = (tmp_path / "leaderboard.md").read_text()
    report = (tmp_path / "report.html").read_text()
    shown = capsys.readouterr().out
    for name in [*specs, "Popularity"]:
        assert name in markdown
        assert name in report
        assert name in shown
    assert "(VBPR) |" in markdown  # the plug-in is tested against its base


def test_json_gives_the_lines(catalogue, tmp_path, capsys):
    assert bench(catalogue, tmp_path, "MF-BPR", "--seeds", "1", "--json") == 0
    assert json.loads(capsys.readouterr().out) == lines(tmp_path)


def test_a_recipe_names_systems_and_chooses_on_validation(catalogue, tmp_path, capsys):
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        'models = ["MF-BPR"]\n[system.MF-BPR]\ngrid = {lr = [1e-5, 1e-2]}\n'
    )
    words = ["--recipe", str(recipe), "--seeds", "1"]
    assert bench(catalogue, tmp_path / "out", *words) == 0
    assert [line["spec"] for line in lines(tmp_path / "out")] == [
        "Popularity",
        "MF-BPR",
    ]
    assert len((tmp_path / "out" / "selection.jsonl").read_text().splitlines()) == 2
    text = (tmp_path / "out" / "leaderboard.md").read_text()
    assert "options chosen on validation, 2 points tried with one seed: lr=" in text


def test_systems_that_the_data_cannot_carry_are_left_out_of_the_default(
    catalogue, tmp_path
):
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in catalogue.glob("interactions.*"):
        (bare / path.name).write_bytes(path.read_bytes())
    assert bench(bare, tmp_path / "out", "--seeds", "1") == 0
    found = [line["spec"] for line in lines(tmp_path / "out")]
    assert found == ["Popularity", "MF-BPR", "LightGCN"]
    assert bench(bare, tmp_path / "out", "VBPR") == 2  # named, it is an error
