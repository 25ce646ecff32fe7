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
