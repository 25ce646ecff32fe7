from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from mmgraph.cli.data import app
from mmgraph.data import fingerprint, load_dataset, synthetic
from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS


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


def test_import_brings_free_files_into_one_folder(tmp_path):
    (tmp_path / "log.tsv").write_text(
        "user\titem\n" + "".join(f"u{n % 3}\ti{n // 3}\n" for n in range(30))
    )
    ids = np.array([f"i{n}" for n in range(9)])
    np.savez(tmp_path / "f.npz", features=np.eye(9, dtype=np.float16), ids=ids)
    out = tmp_path / "shop"
    done = run(
        *("import", "--inter", tmp_path / "log.tsv", "--out", out, "--split"),
        *("per_user", "--feat", f"smell={tmp_path / 'f.npz'}", "--json"),
    )
    report = json.loads(done.stdout)
    assert [part["rows"] for part in report["splits"].values()] == [24, 3, 3]
    assert report["modalities"]["smell"]["missing_rows"] == 1
    train, *_ = load_dataset(out)
    assert train["item"].raw_id.tolist() == [*ids, "i9"]
    with pytest.raises(UserError, match="shop: exists already"):
        run(
            "import",
            "--inter",
            tmp_path / "log.tsv",
            "--out",
            out,
            "--split",
            "per_user",
        )


@pytest.mark.parametrize("split", ["label", "per_user", "cold_items"])
def test_import_refuses_times_only_where_its_split_goes_by_them(tmp_path, split):
    pairs = [(user, item) for user in "abcd" for item in range(20)]
    labels = ["train"] * 18 + ["valid", "test"]
    table = pd.DataFrame(pairs, columns=["user", "item"])
    table = table.assign(split=labels * 4, time=["2020-01-01"] * 80)
    table.loc[2, "time"] = "soon"
    table.to_csv(tmp_path / "log.csv", index=False)
    words = ["import", "--inter", tmp_path / "log.csv", "--out", tmp_path / "shop"]
    for by_time in ("temporal", "leave_one_out"):
        with pytest.raises(UserError, match=r"log.csv:4: timestamp .* - "):
            run(*words, "--split", by_time)
    assert not (tmp_path / "shop").exists()
    told = run(*words, "--split", split, "--quiet").stderr
    assert told.startswith(f"{tmp_path}/log.csv:4: timestamp ")
    assert told.endswith("; times are left out\n")
    assert told.count("\n") == 1
    train, *_ = load_dataset(tmp_path / "shop")
    assert "edge_label_time" not in train[INTERACTS]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["info", "nowhere"], "nowhere: no such folder"),
        (["synth", "--out", "x", "--items", "3"], r"num_items must be at least 40"),
        (["synth", "--out", "x", "--users", "0"], r"at least 1 .got 0, 20. - choose o"),
        (["synth", "--out", "x", "--modality", "a"], "cannot read 'a' - write NAME="),
        (["synth", "--out", "x", *["--modality", "a=8"] * 2], "'a' is given twice"),
        (["synth", "--out", "x", "--modality", "interactions=8"], "called as the tabl"),
        (
            ["import", "--inter", "a", "--out", "x", "--feat", "../a=f.npy"],
            "no file name",
        ),
        (["import", "--inter", "no.csv", "--out", "x"], r"no.csv: no such file"),
        (["import", "--inter", "a", "--out", "x", "--feat", "b"], "write NAME=FILE"),
    ],
)
def test_user_errors_are_raised_for_the_entry_point(
    tmp_path, monkeypatch, args, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        run(*args)
    assert not list(tmp_path.iterdir())
