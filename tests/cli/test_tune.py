from __future__ import annotations

import json

import pytest

pytest.importorskip("optuna")

from mmgraph.cli import main


def tune(catalogue, out, *words):
    words = ("MF-BPR", "--data", str(catalogue), "--out", str(out), "--quiet", *words)
    return main(["tune", *words, "--device", "cpu", "--epochs", "2", "--trials", "3"])


def test_a_search_says_what_was_best(catalogue, tmp_path, capsys):
    code = tune(catalogue, tmp_path / "s", "--search", "lr=1e-3..1e-1")
    told = capsys.readouterr()
    assert code == 0, told.err
    lines = told.out.splitlines()
    assert lines[0] == "3 trials, 0 of them ended early, 0 failed"
    assert lines[1].startswith("best recall@20 0.")
    assert lines[2].startswith("  --set lr=0.0")
    assert tune(catalogue, tmp_path / "s", "--search", "lr=1e-3..1e-1") == 2
    assert "there is a search already" in capsys.readouterr().err
    words = ["--search", "lr=1e-3..1e-1", "--resume", "--json"]
    assert tune(catalogue, tmp_path / "s", *words) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["trials"]["complete"] == 3
    assert f"--set lr={result['best']['options']['lr']}" in lines[2]


def test_trials_that_ended_early_are_among_those_asked_for(
    catalogue, tmp_path, capsys, monkeypatch
):
    best = {"value": 0.5, "epoch": 1, "options": {}}
    trials = {"complete": 2, "pruned": 1, "failed": 4}
    result = {"trials": trials, "monitor": "recall@20", "best": best, "importance": {}}
    monkeypatch.setattr("mmgraph.tuning.search.tune", lambda *_, **__: result)
    assert tune(catalogue, tmp_path / "s") == 0
    told = capsys.readouterr().out
    assert told.startswith("3 trials, 1 of them ended early, 4 failed\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--search", "x=1..2"], "unknown option 'x'"),
        (["--search", "lr=2..1"], "cannot read --search 'lr=2..1'"),
        (["--trials", "0"], "trials must be in [1, 1000000] (got 0)"),
        (["--jobs", "0"], "jobs must be in [1, "),
        (["--gpus", "1"], "--gpus is given without --ray - give both, or neither"),
        (["--set", "num_layers=3"], "unknown option 'num_layers'"),
    ],
)
def test_what_cannot_be_searched_is_one_line(
    catalogue, tmp_path, capsys, words, message
):
    base = ["tune", "MF-BPR", "--data", str(catalogue), "--out", str(tmp_path / "s")]
    assert main([*base, "--quiet", *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "s").exists()
