from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from mmgraph.bench.config import run_config
from mmgraph.bench.experiment import run_experiment
from mmgraph.bench.run_directory import (
    begin_run,
    finished_info,
    give_up_run,
    load_run,
    read_info,
    run_inputs,
    save_run,
)
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import parse_spec
from mmgraph.checksum import CHECKSUM, PLACEHOLDER, add_checksum
from mmgraph.data import synthetic, write_dataset
from mmgraph.errors import UserError
from mmgraph.files import read_json, read_json_lines, write_json
from mmgraph.train.checkpoint import save_checkpoint


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    *splits, _ = synthetic(num_users=40, num_items=30, interactions_per_user=8)
    write_dataset(*splits, root / "toy")
    source = DataSource(str(root / "toy"))
    splits, sha256 = source.load()
    run = run_config(parse_spec("VBPR+CLEAR:embedding_dim=8,rank=2,epochs=2"))
    done = run_experiment(
        run, splits, data="toy", data_sha256=sha256, device="cpu", seed=1
    )
    save_run(root / "run", done, source)
    return root, done


def test_a_loaded_run_scores_as_the_trained_model(saved):
    root, done = saved
    loaded = load_run(root / "run")
    assert loaded.model is not done.model
    train = loaded.splits[0]
    for mine, trained in zip(
        loaded.model.encode(train), done.model.encode(train), strict=True
    ):
        torch.testing.assert_close(mine, trained, rtol=0, atol=0)
    assert loaded.info["metrics"] == done.line["metrics"]


def test_the_files_that_a_run_is_loaded_from_are_told(saved, tmp_path):
    root, _ = saved
    own = ["run.json", "history.jsonl", "model.safetensors"]
    files = [root / "run" / name for name in own]
    assert set(run_inputs(root / "run")) == {*files, *(root / "toy").iterdir()}
    (tmp_path / "visual.npy").touch()
    moved = run_inputs(root / "run", str(tmp_path))
    assert set(moved) == {*files, tmp_path / "visual.npy"}
    with pytest.raises(UserError, match="not a run directory"):
        run_inputs(tmp_path)


def test_the_history_has_a_line_per_epoch(saved):
    root, done = saved
    assert read_json_lines(root / "run" / "history.jsonl") == done.history.rows


def test_other_data_are_refused_naming_both_hashes(saved, tmp_path):
    root, done = saved
    *splits, _ = synthetic(seed=1, num_users=40, num_items=30, interactions_per_user=8)
    write_dataset(*splits, tmp_path / "other")
    other = DataSource(str(tmp_path / "other")).load()[1]
    with pytest.raises(UserError, match=f"{other}, the run {done.line['data_sha256']}"):
        load_run(root / "run", data=str(tmp_path / "other"))


def test_moved_data_are_found_with_the_new_place(saved, tmp_path):
    root, _ = saved
    (tmp_path / "moved").symlink_to(root / "toy")
    assert load_run(root / "run", data=str(tmp_path / "moved")).info["data"] == "toy"


def copy_run(root, target):
    target.mkdir()
    weights = (root / "run" / "model.safetensors").read_bytes()
    (target / "model.safetensors").write_bytes(weights)
    info = read_json(root / "run" / "run.json")
    del info["weights_sha256"]  # as versions before 0.3; others are refused by it
    write_json(target / "run.json", info)
    return target


@pytest.mark.parametrize("keep", [0, 5, 100])
def test_damaged_weights_are_refused(saved, tmp_path, keep):
    run = copy_run(saved[0], tmp_path / "run")
    weights = run / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(
        UserError, match=r"model\.safetensors: (the weights cannot be load|damaged)"
    ):
        load_run(run)


def test_weights_of_another_shape_are_refused(saved, tmp_path):
    run = copy_run(saved[0], tmp_path / "run")
    info = read_json(run / "run.json")
    info["options"]["embedding_dim"] = 4
    write_json(run / "run.json", info)
    with pytest.raises(
        UserError, match=r"the weights cannot be loaded .*size mismatch"
    ):
        load_run(run)


def test_a_damaged_or_missing_description_is_told(saved, tmp_path):
    with pytest.raises(UserError, match=r"not a run directory \(no run.json\)"):
        load_run(tmp_path)
    (tmp_path / "run.json").write_text('{"status": ')
    with pytest.raises(
        UserError, match=r"run.json: not JSON: .* - train the run again"
    ):
        load_run(tmp_path)


def test_a_run_is_claimed_once_and_resumed_only_as_itself(tmp_path):
    assert not begin_run(tmp_path / "run", "a", resume=False)
    assert read_info(tmp_path / "run")["status"] == "running"
    save_checkpoint(tmp_path / "run" / "checkpoint", {}, {})
    with pytest.raises(UserError, match="there is a run already - continue it with"):
        begin_run(tmp_path / "run", "a", resume=False)
    assert begin_run(tmp_path / "run", "a", resume=True)
    for resume in (True, False):  # never told to go on with what is another run
        with pytest.raises(UserError, match="other options, another seed or other"):
            begin_run(tmp_path / "run", "b", resume=resume)
    with pytest.raises(UserError, match="the run has not finished - continue it with"):
        load_run(tmp_path / "run")


@pytest.mark.parametrize("resume", [True, False])
def test_a_run_that_left_nothing_is_in_no_ones_way(tmp_path, resume):
    begin_run(tmp_path, "a", resume=False)
    assert not begin_run(tmp_path, "b", resume=resume)
    assert read_info(tmp_path) == {"status": "running", "key": "b"}


def test_a_finished_run_without_its_weights_still_holds_its_place(saved, tmp_path):
    run = copy_run(saved[0], tmp_path / "run")
    (run / "model.safetensors").unlink()
    with pytest.raises(UserError, match="other options, another seed or other data"):
        begin_run(run, "another", resume=False)


def test_only_a_run_that_left_nothing_is_given_up(saved, tmp_path):
    run = copy_run(saved[0], tmp_path / "run")
    give_up_run(run)
    assert finished_info(run)["status"] == "finished"
    begin_run(tmp_path / "new", "a", resume=False)
    (tmp_path / "new" / "mine.txt").write_text("")
    give_up_run(tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("change", [{"options": None}, {"options": 3}, {"seed": "x"}])
def test_a_description_without_what_is_read_of_it_is_told(saved, tmp_path, change):
    run = copy_run(saved[0], tmp_path / "run")
    info = read_json(run / "run.json") | change
    info = {key: value for key, value in info.items() if value is not None}
    write_json(run / "run.json", info)
    name = next(iter(change))
    with pytest.raises(UserError, match=rf"run\.json: does not say '{name}' as a run"):
        load_run(run)


def whole_copy(saved, target):
    run = copy_run(saved[0], target)
    (run / "history.jsonl").write_bytes((saved[0] / "run/history.jsonl").read_bytes())
    return run


def flip(path, bit):
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["model.safetensors", "run.json", "history.jsonl"])
def test_of_twenty_flipped_bits_each_is_refused(saved, tmp_path, name):
    run = whole_copy(saved, tmp_path / "run")
    key = finished_info(run)["key"]
    content = (run / name).read_bytes()
    for bit in np.random.default_rng(0).integers(0, 8 * len(content), 20):
        flip(run / name, int(bit))
        with pytest.raises(UserError):  # compare, and resume
            finished_info(run)
        with pytest.raises(UserError):  # evaluate, recommend
            load_run(run)
        if name == "run.json":
            with pytest.raises(UserError):
                begin_run(run, key, resume=True)
        (run / name).write_bytes(content)
    assert finished_info(run)["key"] == key
    assert load_run(run)


def test_a_history_that_lost_lines_is_refused(saved, tmp_path):
    run = whole_copy(saved, tmp_path / "run")
    lines = (run / "history.jsonl").read_bytes().splitlines(keepends=True)
    for kept in (lines[0], lines[0] + lines[1][:9], b""):
        (run / "history.jsonl").write_bytes(kept)
        with pytest.raises(UserError, match=r"history.jsonl: has [01] epochs, "):
            finished_info(run)


def test_a_damaged_line_of_a_history_is_not_to_be_deleted(saved, tmp_path):
    run = whole_copy(saved, tmp_path / "run")
    lines = (run / "history.jsonl").read_bytes().splitlines(keepends=True)
    (run / "history.jsonl").write_bytes(b"".join([b"{]\n", *lines[1:]]))
    fix = "train the run again in another folder"
    with pytest.raises(UserError, match=rf"history.jsonl:1: not JSON: .* - {fix}"):
        finished_info(run)


def rewritten(path, change):
    tensors = load_file(path)
    change(tensors)
    path.write_bytes(save(tensors))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(extra=torch.ones(1)), "Unexpected key.*extra"),
        (lambda t: t.pop("user.weight"), "Missing key.*user.weight"),
        (
            lambda t: t["user.weight"].fill_(float("nan")),
            "user.weight holds NaN",
        ),
        (
            lambda t: t.update({"user.weight": t["user.weight"].half()}),
            "user.weight is torch.float16, not torch.float32",
        ),
    ],
)
def test_foreign_weights_are_refused(saved, tmp_path, change, message):
    run = copy_run(saved[0], tmp_path / "run")
    rewritten(run / "model.safetensors", change)
    with pytest.raises(UserError, match=rf"the weights cannot be loaded \(.*{message}"):
        load_run(run)


@pytest.mark.parametrize(
    "content",
    [
        (2**60).to_bytes(8, "little") + b"{}",
        (99 * 2**20).to_bytes(8, "little") + b"{}",
        b'\x4a\0\0\0\0\0\0\0{"user.weight":{"dtype":"F32","shape":[4096,9999999],'
        b'"data_offsets":[0,4]}} ' + bytes(4),
    ],
)
def test_weights_that_claim_more_than_the_file_has_are_refused(
    saved, tmp_path, content
):
    run = copy_run(saved[0], tmp_path / "run")
    (run / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="the weights cannot be loaded"):
        load_run(run)


def test_a_finished_run_keeps_one_checkpoint(saved, tmp_path):
    root, done = saved
    folder = tmp_path / "checkpoint"
    for keep in (False, True):
        save_checkpoint(folder, {}, {}, keep_previous=keep)
    assert len(list(folder.iterdir())) == 2
    save_run(tmp_path, done, DataSource(str(root / "toy")))
    assert [path.name for path in folder.iterdir()] == ["state.safetensors"]


def test_what_a_kill_left_is_cleared_but_not_that_of_another_run(tmp_path):
    begin_run(tmp_path, "a", resume=False)
    save_checkpoint(tmp_path / "checkpoint", {}, {})
    left = [
        tmp_path / ".model.safetensors.abcd1234.mmgraph-part",
        tmp_path / "checkpoint/.state.safetensors.abcd1234.mmgraph-part",
    ]
    for path in left:
        path.write_text("half")
    with pytest.raises(UserError):
        begin_run(tmp_path, "b", resume=True)
    assert all(path.exists() for path in left)
    assert begin_run(tmp_path, "a", resume=True)
    assert not any(path.exists() for path in left)


def test_weights_of_another_run_are_refused(saved, tmp_path):
    run = copy_run(saved[0], tmp_path / "run")
    shutil.copy(saved[0] / "run" / "run.json", run)
    content = save({"w": torch.ones(1)}, metadata={CHECKSUM: PLACEHOLDER})
    (run / "model.safetensors").write_bytes(add_checksum(content))
    with pytest.raises(UserError, match=r"model\.safetensors: the weights are of"):
        finished_info(run)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model", "../x", "unknown model '../x'"),
        ("split_rule", "../x", "unknown split '../x'"),
        ("options", {"embedding_dim": None}, ".*'embedding_dim' must be an integer"),
    ],
)
def test_what_run_json_says_wrongly_is_refused_with_its_name(
    saved, tmp_path, key, value, message
):
    run = whole_copy(saved, tmp_path / "run")
    info = json.loads((run / "run.json").read_text())
    del info["checksum"]
    (run / "run.json").write_text(json.dumps({**info, key: value}))
    with pytest.raises(UserError, match=rf"^{run}/run.json: {message}"):
        load_run(run)
