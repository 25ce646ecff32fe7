from __future__ import annotations

import json
import sys

import pytest
from fake_ray import FakeRay

from mmgraph.cli import main
from mmgraph.distributed.world import World


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


def test_a_cluster_ranks_and_the_output_is_the_same(run, monkeypatch, capsys):
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    words = ["evaluate", str(run), "--device", "cpu", "--quiet", "--json"]
    for more in ([], ["--measures", "all", "--k", "5"]):
        assert main([*words, *more]) == 0
        here = capsys.readouterr().out
        assert main([*words, *more, "--ray", "10.0.0.1:6379"]) == 0
        assert capsys.readouterr().out == here
    assert fake.calls[0] == "10.0.0.1:6379"


def test_a_cluster_is_none_of_torchrun_and_gpus_are_of_a_cluster(
    run, monkeypatch, capsys
):
    assert main(["evaluate", str(run), "--gpus", "1"]) == 2
    assert capsys.readouterr().err == (
        "error: --gpus is given without --ray - give both, or neither\n"
    )
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["evaluate", str(run), "--ray", "auto", "--quiet"]) == 2
    assert "Ray is not installed - pip install" in capsys.readouterr().err
    monkeypatch.setattr("mmgraph.distributed.world.world", lambda: World(0, 2))
    assert main(["evaluate", str(run), "--ray", "auto", "--quiet"]) == 2
    assert capsys.readouterr().err == (
        "error: --ray is given, and torchrun started this - use one of them\n"
    )
