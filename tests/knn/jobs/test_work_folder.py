from __future__ import annotations

import json
import os
import random

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from mmgraph.errors import UserError
from mmgraph.knn import build_blocks, knn_graph, merge_shards, read_shards
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


def flip_bits(path, times):
    """The file with one bit flipped, at several places one after the other."""
    content = bytearray(path.read_bytes())
    places = random.Random(0).sample(range(8 * len(content)), times)
    for place in places:
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        yield
        content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)


@pytest.fixture
def built(tmp_path):
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    return x, build_blocks(x, 3, tmp_path / "w", block_rows=20)


def read_all(path):
    work = WorkFolder(path)
    work.read_statistics()
    work.read_block(1)


@pytest.mark.parametrize(
    "name", ["block-000001.safetensors", "survey.safetensors", "manifest.json"]
)
def test_every_flipped_bit_is_refused(built, name):
    _, work = built
    for _ in flip_bits(work.path / name, 40):
        with pytest.raises(UserError, match=rf"{name}: damaged: its content does not"):
            read_all(work.path)
    read_all(work.path)


def test_a_damaged_block_is_not_joined_and_a_resume_makes_it_anew(built, caplog):
    x, work = built
    path, other = (work.path / f"block-00000{n}.safetensors" for n in (1, 2))
    survey = work.path / "survey.safetensors"
    whole, made = path.read_bytes(), other.stat().st_mtime_ns
    block_before = [each.clone() for each in work.read_block(1)]  # mapped to the file
    path.write_bytes(whole.replace(whole[-4:], b"\0\0\0\0"))
    survey.write_bytes(survey.read_bytes()[:-3])
    message = r"000001\.safetensors: damaged: .* - run mmgraph knn blocks again, which"
    with pytest.raises(UserError, match=message):
        merge_shards([work.path], work.path.parent / "graph")
    assert not (work.path.parent / "graph").exists()
    again = build_blocks(x, 3, work.path, block_rows=20)
    told = [record.message for record in caplog.records if record.levelname != "INFO"]
    assert [line.partition("w/")[2].partition(":")[0] for line in told] == [
        "survey.safetensors",
        "block-000001.safetensors",
    ]
    assert all(line.endswith("; it is made anew") for line in told)
    for got, want in zip(again.read_block(1), block_before, strict=True):
        assert torch.equal(got, want)
    assert other.stat().st_mtime_ns == made
    edge_index, _ = read_shards([again.path])
    assert torch.equal(edge_index, knn_graph(x, 3)[0])


def test_folders_of_versions_without_checksums_go_on(built):
    x, work = built
    manifest = json.loads((work.path / "manifest.json").read_text())
    del manifest["checksum"]
    (work.path / "manifest.json").write_text(json.dumps(manifest, indent=2))
    for path in work.path.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            notes = {k: v for k, v in file.metadata().items() if k != "checksum"}
        path.write_bytes(save(load_file(path), notes))
    (work.path / "block-000002.safetensors").unlink()
    old = {path.name: path.stat().st_mtime_ns for path in work.path.iterdir()}
    assert WorkFolder(work.path).missing() == [2]
    again = build_blocks(x, 3, work.path, block_rows=20)
    for name, made in old.items():
        assert (work.path / name).stat().st_mtime_ns == made
    assert torch.equal(read_shards([again.path])[0], knn_graph(x, 3)[0])


WRONG_BLOCKS = {
    "ids outside": lambda t: t["neighbour"].fill_(50),
    "negative ids": lambda t: t["neighbour"].fill_(-1),
    "another's rows": lambda t: t["centre"].sub_(20),
    "rows out of order": lambda t: t.update(centre=t["centre"].flip(0)),
    "not finite": lambda t: t["similarity"].fill_(torch.nan),
    "another dtype": lambda t: t.update(similarity=t["similarity"].double()),
    "another shape": lambda t: t.update(neighbour=t["neighbour"][:, :1].clone()),
    "too many": lambda t: t.update(
        {key: t[key].repeat(1, 2) for key in ("neighbour", "similarity")}
    ),
    "a tensor gone": lambda t: t.pop("centre"),
    "a tensor more": lambda t: t.update(more=torch.zeros(1)),
}


@pytest.mark.parametrize("how", WRONG_BLOCKS)
def test_values_that_cannot_be_are_refused_where_there_is_no_checksum(built, how):
    _, work = built
    path = work.path / "block-000001.safetensors"
    with safe_open(path, "pt") as file:
        notes = {"manifest": file.metadata()["manifest"]}
    tensors = load_file(path)
    WRONG_BLOCKS[how](tensors)
    path.write_bytes(save(tensors, notes))
    message = "block-000001.safetensors: damaged: holds values that cannot be of this"
    with pytest.raises(UserError, match=message):
        work.read_block(1)


def test_what_a_killed_build_had_begun_is_cleared_away(built):
    x, work = built
    ending = "x_y1z2w3.mmgraph-part"
    begun = (f".block-000003.safetensors.{ending}", f".manifest.json.{ending}")
    others = (".mine.json.backup", ".block-000003.txt.a1", ".hidden")
    for name in (*begun, *others):
        (work.path / name).write_bytes(b"")
    build_blocks(x, 3, work.path, block_rows=20)
    left = {path.name for path in work.path.iterdir() if path.name.startswith(".")}
    assert left == set(others)
