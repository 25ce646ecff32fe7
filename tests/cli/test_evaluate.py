from __future__ import annotations

import json

import pytest

from mmgraph.cli import main


@pytest.mark.parametrize("split", ["valid", "test"])
def test_metrics_are_those_of_the_training(run, capsys, split):
    assert main(["evaluate", str(run), "--split", split, "--json", "--quiet"]) == 0
    result = json.loads(capsys.readouterr().out)
    trained = json.loads((run / "run.json").read_text())["metrics"][split]
    assert (result["run"], result["split"]) == (str(run), split)
    assert result["metrics"] == pytest.approx(trained, abs=1e-12)


def test_cut_offs_are_the_users(run, capsys):
    assert main(["evaluate", str(run), "--k", "1, 5", "--json", "--quiet"]) == 0
    names = json.loads(capsys.readouterr().out)["metrics"]
    assert {name.partition("@")[2] for name in names} == {"1", "5"}


def test_plain_output_is_a_line_per_metric(run, capsys):
    assert main(["evaluate", str(run), "--k", "5", "--quiet"]) == 0
    assert "recall@5 " in capsys.readouterr().out


def test_a_cut_off_beyond_the_catalogue_finds_every_positive(run, capsys):
    assert main(["evaluate", str(run), "--k", "500", "--quiet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["recall@500"] == 1.0


def test_measures_and_candidates_are_told(run, catalogue, capsys):
    words = ["evaluate", str(run), "--k", "5", "--quiet", "--measures"]
    assert main([*words, "coverage, users", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {
        *("run", "split", "candidates", "metrics", "measures", "groups")
    }
    assert list(result["measures"]) == ["coverage@5"]
    assert main(["evaluate", str(run), "--k", "5", "--quiet", "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["metrics"] == result["metrics"]
    assert main([*words, "all", "--candidates", "warm"]) == 0
    shown = capsys.readouterr().out
    for text in ("novelty@5 ", "diversity_visual@5 ", "users, by training", "shown@5"):
        assert text in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--measures", "luck"],
            "unknown measure 'luck' - choose among coverage",
        ),
        (["--candidates", "new"], "candidates is 'new' - write all, warm, cold"),
        (["--candidates", "cold"], "there is no cold item: every item has training"),
    ],
)
def test_wrong_measures_are_told(run, capsys, words, message):
    assert main(["evaluate", str(run), "--quiet", *words]) == 2
    assert message in capsys.readouterr().err
