from __future__ import annotations

import json

import numpy as np
import pytest

from mmgraph.cli import main


def export(run, out, *words):
    return main(["export", str(run), "--out", str(out), "--quiet", *words])


def test_an_export_says_what_its_files_find(run, tmp_path, capsys):
    assert export(run, tmp_path / "v", "--formats", "npy,faiss", "--k", "5") == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[0]
        == f"60 users and 50 items of MF-BPR:embedding_dim=8,epochs=3, 8 \
numbers each, in {tmp_path / 'v'}"
    )
    assert lines[1:] == [
        "npy: 100.00% of the best 5 items of 60 users",
        "faiss: 100.00% of the best 5 items of 60 users",
    ]
    assert np.load(tmp_path / "v" / "item_vectors.npy").shape == (50, 8)


def test_for_machines_it_is_one_document(run, tmp_path, capsys):
    assert export(run, tmp_path / "v", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["out"] == str(tmp_path / "v")
    assert list(result["formats"]) == ["parquet"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--formats", "csv"], "unknown format 'csv'"),
        (["--k", "0"], "k must be in [1, 2147483647] (got 0)"),
    ],
)
def test_what_cannot_be_is_one_line(run, tmp_path, capsys, words, message):
    assert export(run, tmp_path / "v", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "v").exists()


def test_an_export_is_replaced_only_by_force(run, tmp_path, capsys):
    assert export(run, tmp_path / "v") == 0
    assert export(run, tmp_path / "v") == 2
    assert (
        "exists already - choose another --out, or --force" in capsys.readouterr().err
    )
    assert export(run, tmp_path / "v", "--force") == 0
