from __future__ import annotations

import json
import os

import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.knn.jobs.work_folder import WorkFolder
from mmgraph.knn.rows.matrix_statistics import matrix_statistics
from mmgraph.knn.rows.row_source import RowSource

MANIFEST = {
    "input": {"rows": 6, "columns": 4, "dtype": "float32", "sha256": "ab"},
    "options": {"k": 1, "metric": "cosine", "include_self": False},
    "blocks": {"rows": 2, "count": 3},
}


def block(value):
    centre = torch.tensor([value, value + 1])
    return centre, (centre[:, None] + 1) % 6, torch.full((2, 1), 0.5)


def test_blocks_come_back_as_they_were(tmp_path):
    work = WorkFolder.begin(tmp_path / "w", MANIFEST)
    work.write_block(2, *block(4))
    again = WorkFolder(tmp_path / "w")
    assert again.missing() == [0, 1]
    for got, want in zip(again.read_block(2), block(4), strict=True):
        assert torch.equal(got, want)


def test_statistics_come_back_as_they_were(tmp_path):
    x = torch.randn(9, 3)
    x[1] = x[0]
    x[2:4] = 0.0
    options = {"duplicates": "collapse", "hashed": True}
    statistics = matrix_statistics(RowSource(x), "l2", **options)
    isolated = {"zero_rows": 2, "nan_rows": 0, "collapsed_rows": 1}
    manifest = {
        "input": MANIFEST["input"]
        | {"rows": 9, "columns": 3, "sha256": statistics.sha256},
        "options": MANIFEST["options"],
        "blocks": {"rows": 9, "count": 1},
        "isolated": isolated,
    }
    work = WorkFolder.begin(tmp_path, manifest)
    work.write_statistics(statistics, 2.5)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"manifest.json", "survey.safetensors"}  # as in every version
    got, scale = work.read_statistics()
    assert torch.equal(got.norm, statistics.norm)
    assert torch.equal(got.centre, statistics.centre)
    assert (scale, got.sha256) == (2.5, statistics.sha256)
    assert {kind: getattr(got, kind) for kind in isolated} == isolated
    assert {kind: getattr(statistics, kind) for kind in isolated} == isolated


def test_a_write_that_fails_leaves_no_block(tmp_path, monkeypatch):
    work = WorkFolder.begin(tmp_path, MANIFEST)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    message = r"block-000001.safetensors: cannot be written \(No space left on device\)"
    with pytest.raises(UserError, match=message):
        work.write_block(1, *block(2))
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_foreign_folders_and_blocks_are_refused(tmp_path):
    work = WorkFolder.begin(tmp_path / "w", MANIFEST)
    work.write_block(0, *block(0))
    source = MANIFEST["input"]
    changed = {**MANIFEST, "input": source | {"sha256": "cd"}}
    other = WorkFolder.begin(tmp_path / "v", changed)
    name = "block-000000.safetensors"
    (other.path / name).write_bytes((work.path / name).read_bytes())
    with pytest.raises(
        UserError, match=rf"v/{name}: belongs to another build - run mmg"
    ):
        other.read_block(0)
    (work.path / name).write_bytes(b"torn")
    with pytest.raises(UserError, match=rf"w/{name}: cannot be read \(Safetensor"):
        work.read_block(0)
    with pytest.raises(
        UserError, match=r"w: made with input.sha256 'ab', now it is 'x"
    ):
        WorkFolder.begin(work.path, {**MANIFEST, "input": source | {"sha256": "xy"}})
    with pytest.raises(
        UserError, match=r"w: made with extra.a None, now it is 1 - giv"
    ):
        WorkFolder.begin(work.path, {**MANIFEST, "extra": {"a": 1}})


def test_bad_folders_are_named(tmp_path):
    with pytest.raises(UserError, match=r"no work folder: it has no manifest\.json"):
        WorkFolder(tmp_path / "none")
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(UserError, match=r"holds other files - name a new or an empty"):
        WorkFolder.begin(tmp_path, MANIFEST)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file: cannot be written \(File exists\)"):
        WorkFolder.begin(tmp_path / "file", MANIFEST)
    for text, what in (
        ("{", "not JSON: .*"),
        ("[]", "not a JSON object"),
        (json.dumps({"blocks": {}}), "has no 'input.rows'"),
    ):
        (tmp_path / "manifest.json").write_text(text)
        message = rf"manifest.json: {what} - remove the folder and build anew"
        with pytest.raises(UserError, match=message):
            WorkFolder(tmp_path)
