from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from mmgraph.cli.data import app
from mmgraph.data import fingerprint, synthetic
from mmgraph.errors import UserError


def run(*args):
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_synth_then_info_report_the_planted_catalogue(tmp_path):
    sizes = ["--users", 50, "--items", 60, "--modality", "a=16", "--seed", 3]
    made = run("synth", "--out", tmp_path / "shop", *sizes, "--json")
    seen = run("info", tmp_path / "shop", "--json")
    made, seen = json.loads(made.stdout), json.loads(seen.stdout)
    assert (seen["users"], seen["items"]) == (50, 60)
    expected = synthetic(seed=3, num_users=50, num_items=60, modalities={"a": 16})[:3]
    assert made["data_sha256"] == seen["data_sha256"] == fingerprint(*expected)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["info", "nowhere"], "nowhere: no such folder"),
        (["synth", "--out", "x", "--items", "3"], r"num_items must be at least 40"),
        (["synth", "--out", "x", "--users", "0"], r"at least 1 .got 0, 20. - choose o"),
        (["synth", "--out", "x", "--modality", "a"], "cannot read 'a' - write NAME="),
        (["synth", "--out", "x", *["--modality", "a=8"] * 2], "'a' is given twice"),
        (["synth", "--out", "x", "--modality", "interactions=8"], "called as the tabl"),
    ],
)
def test_user_errors_are_raised_for_the_entry_point(
    tmp_path, monkeypatch, args, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        run(*args)
    assert not list(tmp_path.iterdir())
