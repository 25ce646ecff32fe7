from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmgraph.data import load_dataset
from mmgraph.data.formats.features import read_features
from mmgraph.data.formats.tables.item_table import read_item_table
from mmgraph.encode import item_features
from mmgraph.encode.encoder import Encoded, Encoder, Fault
from mmgraph.encode.item_features import (
    check_out,
    rows_of_shard,
    write_item_features,
    write_shard,
)
from mmgraph.encode.parts import locked_parts, locked_shard, parts_folder
from mmgraph.errors import UserError

TITLES = ["abc", "aab", "", "broken", "ccc", "b", "broken", "cab", "a", "bb", "c"]


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(item_features, "PART_ROWS", 3)


@pytest.fixture
def items(tmp_path):
    path = tmp_path / "items.csv"
    rows = [f"{100 - n},{title}" for n, title in enumerate(TITLES)]
    path.write_text("\n".join(["id,title", *rows, ",nobody"]))
    return read_item_table(path, "title")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", [".npz", ".parquet", ".safetensors"])
def test_features_are_those_of_each_title_and_the_rest_is_listed(
    suffix, items, fake_encoder, tmp_path
):
    out, told = tmp_path / f"text{suffix}", []
    report = write_item_features(items, fake_encoder, out, on_rows=told.append)
    values, ids = read_features(out)
    expected = {
        100 - n: [title.count(letter) for letter in "abc"]
        for n, title in enumerate(TITLES)
        if title not in ("", "broken")
    }
    assert dict(zip(ids.tolist(), values.tolist(), strict=True)) == expected
    assert told == [3, 3, 3, 1]
    assert report["items"] == len(expected) == 8
    assert report["dimension"] == 3
    assert report["left_out"] == {"no title": 1, "no such file": 2, "no id": 1}
    listed = pd.read_csv(tmp_path / "text.left_out.csv", dtype=str).fillna("")
    assert listed.values.tolist() == [
        ["4", "98", "", "no title", ""],
        ["5", "97", "broken", "no such file", "gone"],
        ["8", "94", "broken", "no such file", "gone"],
        ["13", "", "nobody", "no id", ""],
    ]
    assert names(tmp_path) == sorted(["items.csv", "text.left_out.csv", out.name])


def test_a_data_folder_masks_what_was_left_out(items, fake_encoder, tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    write_item_features(items, fake_encoder, folder / "textual.npz")
    pairs = ["user,item,split", "1,100,0", "1,98,0", "1,97,1", "1,99,2"]
    (folder / "interactions.csv").write_text("\n".join(pairs))
    item = load_dataset(folder)[0]["item"]
    masked = item.raw_id[~item.mask_textual.numpy()]
    assert masked.tolist() == [97, 98]


def test_a_data_folder_is_not_written_into(fake_encoder, items, tmp_path):
    (tmp_path / "interactions.csv").touch()
    with pytest.raises(UserError, match="would be part of the data there - choose an"):
        write_item_features(items, fake_encoder, tmp_path / "textual.npz")


class StoppedError(Exception):
    pass


def stopping(encoder, after):
    """An encoder that stops after some parts; another look at 'broken' is none."""
    calls = []

    def encode(contents):
        if set(contents) != {"broken"}:
            calls.append(contents)
        if len(calls) > after:
            raise StoppedError
        return encoder.encode(contents)

    return encoder._replace(encode=encode)


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_run_that_was_stopped_goes_on_and_gives_the_same_bytes(
    after, items, fake_encoder, tmp_path
):
    whole, out = tmp_path / "whole.npz", tmp_path / "text.npz"
    write_item_features(items, fake_encoder, whole)
    with pytest.raises(StoppedError):
        write_item_features(items, stopping(fake_encoder, after), out)
    assert not out.exists()
    with pytest.raises(UserError, match="go on with --resume, or delete that folder"):
        write_item_features(items, fake_encoder, out)
    rest = stopping(fake_encoder, 4 - after)  # what is done is not done again
    write_item_features(items, rest, out, resume=True)
    assert out.read_bytes() == whole.read_bytes()
    listed = (tmp_path / "text.left_out.csv").read_bytes()
    assert listed == (tmp_path / "whole.left_out.csv").read_bytes()
    assert not (tmp_path / "text.npz.parts").exists()


def test_a_damaged_part_is_made_anew(items, fake_encoder, tmp_path):
    whole, out = tmp_path / "whole.npz", tmp_path / "text.npz"
    write_item_features(items, fake_encoder, whole)
    with pytest.raises(StoppedError):
        write_item_features(items, stopping(fake_encoder, 2), out)
    part = tmp_path / "text.npz.parts" / "part-000001.safetensors"
    part.write_bytes(part.read_bytes()[:-1])
    write_item_features(items, fake_encoder, out, resume=True)
    assert out.read_bytes() == whole.read_bytes()


def test_parts_of_something_else_are_refused(
    items, fake_encoder, tmp_path, monkeypatch
):
    out = tmp_path / "text.npz"
    with pytest.raises(StoppedError):
        write_item_features(items, stopping(fake_encoder, 2), out)
    with monkeypatch.context() as later:  # a version with other parts
        later.setattr(item_features, "PART_ROWS", 2)
        with pytest.raises(UserError, match="holds parts with another rows_of_a_part"):
            write_item_features(items, fake_encoder, out, resume=True)
    other = fake_encoder._replace(identity={"model_sha256": "1", "batch_size": 32})
    with pytest.raises(UserError, match="holds parts with another model_sha256"):
        write_item_features(items, other, out, resume=True)
    (tmp_path / "items.csv").write_text("id,title\n1,a\n")
    table = read_item_table(tmp_path / "items.csv", "title")
    with pytest.raises(UserError, match="holds parts with another table_sha256"):
        write_item_features(table, fake_encoder, out, resume=True)


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_shards_together_give_the_bytes_of_one_run(
    shards, items, fake_encoder, tmp_path
):
    whole, out, told = tmp_path / "whole.npz", tmp_path / "text.npz", []
    write_item_features(items, fake_encoder, whole)
    made = [
        write_shard(items, fake_encoder, out, f"{i}/{shards}", on_rows=told.append)
        for i in range(shards, 0, -1)  # in any order
    ]
    assert [each["parts"] for each in made] == sorted(each["parts"] for each in made)
    assert made[-1] == {"folder": f"{out}.parts", "parts": 4, "of": 4}
    assert sum(told) == len(items.contents) == 10
    rows = [rows_of_shard(10, f"{i}/{shards}") for i in range(1, shards + 1)]
    assert sum(rows) == 10
    assert not out.exists()
    write_item_features(items, stopping(fake_encoder, 0), out, resume=True)
    assert out.read_bytes() == whole.read_bytes()
    assert not (tmp_path / "text.npz.parts").exists()


def test_parts_of_folders_of_their_own_are_copied_into_one(
    items, fake_encoder, tmp_path
):
    whole, out = tmp_path / "whole.npz", tmp_path / "text.npz"
    write_item_features(items, fake_encoder, whole)
    for i in (1, 2):
        (tmp_path / f"machine{i}").mkdir()
        write_shard(items, fake_encoder, tmp_path / f"machine{i}" / out.name, f"{i}/2")
        parts = tmp_path / f"machine{i}" / "text.npz.parts"
        shutil.copytree(parts, parts_folder(out), dirs_exist_ok=True)
    write_item_features(items, stopping(fake_encoder, 0), out, resume=True)
    assert out.read_bytes() == whole.read_bytes()


def test_a_shard_of_another_table_or_model_is_refused(items, fake_encoder, tmp_path):
    out = tmp_path / "text.npz"
    write_shard(items, fake_encoder, out, "1/2")
    other = fake_encoder._replace(identity={"model_sha256": "1", "batch_size": 32})
    with pytest.raises(UserError, match="holds parts with another model_sha256"):
        write_shard(items, other, out, "2/2")
    for shard in ("0/2", "3/2", "2"):
        with pytest.raises(UserError, match="no such shard"):
            write_shard(items, fake_encoder, out, shard)


def test_a_shard_keeps_out_itself_and_the_whole_but_no_other_shard(
    items, fake_encoder, tmp_path, monkeypatch
):
    out = tmp_path / "text.npz"
    write_shard(items, fake_encoder, out, "1/3")
    with locked_shard(parts_folder(out), (2, 3), {}):
        write_shard(items, fake_encoder, out, "3/3")
        with pytest.raises(UserError, match="is writing there"):
            write_shard(items, fake_encoder, out, "2/3")
        with pytest.raises(UserError, match="is writing there"):
            write_item_features(items, fake_encoder, out, resume=True)
    monkeypatch.setattr("mmgraph.encode.parts._WAIT", 0.1)
    with (
        locked_parts(parts_folder(out)),
        pytest.raises(UserError, match="is writing there"),
    ):
        write_shard(items, fake_encoder, out, "2/3")
    write_item_features(items, fake_encoder, out, resume=True)


SLOW = """
import sys, time
from pathlib import Path
import numpy as np
from mmgraph.encode import item_features
from mmgraph.encode.encoder import Encoded, Encoder
from mmgraph.data.formats.tables.item_table import read_item_table

item_features.PART_ROWS = 3
def encode(contents):
    time.sleep(0.3)
    rows = [[text.count(letter) for letter in "abc"] for text in contents]
    return Encoded(np.array(rows, np.float32), {})
items = read_item_table(sys.argv[1], "title")
item_features.write_item_features(items, Encoder("title", encode, {}), sys.argv[2])
"""


def test_a_killed_run_goes_on_and_gives_the_same_bytes(tmp_path):
    path, out = tmp_path / "items.csv", tmp_path / "text.npz"
    rows = [f"{n},{'abc' * n}" for n in range(1, 31)]
    path.write_text("\n".join(["id,title", *rows]))
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(path), str(out)])
    third = tmp_path / "text.npz.parts" / "part-000002.safetensors"
    deadline = time.monotonic() + 120
    while not third.exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not out.exists()
    done = []

    def encode(contents):
        done.extend(contents)
        counts = [[text.count(letter) for letter in "abc"] for text in contents]
        return Encoded(np.array(counts, np.float32), {})

    items, encoder = read_item_table(path, "title"), Encoder("title", encode, {})
    write_item_features(items, encoder, out, resume=True)
    assert 0 < len(done) <= 21
    write_item_features(items, encoder, tmp_path / "whole.npz")
    assert out.read_bytes() == (tmp_path / "whole.npz").read_bytes()


def constant(value):
    def encode(contents):
        features = np.ones((len(contents), 2), np.float32)
        features[0, 1] = value
        return Encoded(features, {})

    return Encoder("title", encode, {})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_no_reader_takes_are_left_out(value, items, tmp_path):
    out = tmp_path / "text.npz"
    report = write_item_features(items, constant(value), out)
    assert report["left_out"]["features that are not finite"] == 4
    assert np.isfinite(read_features(out)[0]).all()


def test_float16_is_refused_where_it_would_overflow(items, tmp_path):
    out = tmp_path / "text.npz"
    with pytest.raises(UserError) as error:
        write_item_features(items, constant(7e4), out, dtype="float16")
    assert str(error.value) == (
        "the features reach 7e+04, which float16 does not hold - go on with --resume "
        "--dtype float32"
    )
    write_item_features(items, constant(7e4), out, resume=True)
    assert read_features(out)[0].max() == 7e4
    write_item_features(items, constant(6e4), out, dtype="float16")
    assert read_features(out)[0].max() == 6e4


def test_float16_is_refused_however_often_it_is_asked_for(items, tmp_path):
    out, encoder = tmp_path / "text.npz", constant(7e4)
    for resume in (False, True, True):
        with pytest.raises(
            UserError, match=r"the features reach 7e\+04, which float16"
        ):
            write_item_features(items, encoder, out, dtype="float16", resume=resume)
    for _ in range(2):
        with pytest.raises(
            UserError, match=r"the features reach 7e\+04, which float16"
        ):
            write_shard(items, encoder, out, "1/2", dtype="float16")
    assert not out.exists()


def test_parts_of_a_run_in_float32_are_looked_at_for_float16(items, tmp_path):
    out, encoder = tmp_path / "text.npz", constant(7e4)
    with pytest.raises(StoppedError):
        write_item_features(items, stopping(encoder, 2), out)
    small = constant(1)
    with pytest.raises(UserError, match=r"the features reach 7e\+04, which float16"):
        write_item_features(items, small, out, dtype="float16", resume=True)
    with pytest.raises(UserError, match=r"the features reach 7e\+04, which float16"):
        write_shard(items, small, out, "1/2", dtype="float16")
    assert not out.exists()


def of_files(there):
    """A fake encoder of files; some are there, the others are missing or damaged."""

    def encode(contents):
        rows = [[len(text), 1] for text in contents if there.get(text) == "whole"]
        reasons = {None: "no such file", "cut": "not a readable picture"}
        faults = {
            n: Fault(reasons[there.get(text)])
            for n, text in enumerate(contents)
            if there.get(text) != "whole"
        }
        return Encoded(np.array(rows, np.float32).reshape(-1, 2), faults)

    return Encoder("title", encode, {"model_sha256": "0"})


@pytest.mark.parametrize("first", [None, "cut"])
@pytest.mark.parametrize("then", [None, "cut", "whole"])
def test_what_could_not_be_read_is_looked_at_again(first, then, items, tmp_path):
    there = dict.fromkeys(TITLES, "whole") | {"broken": then}
    whole, out = tmp_path / "whole.npz", tmp_path / "text.npz"
    report = write_item_features(items, of_files(there), whole)
    assert report["items"] == (10 if then == "whole" else 8)
    earlier = stopping(of_files(there | {"broken": first}), 3)
    with pytest.raises(StoppedError):
        write_item_features(items, earlier, out)
    assert write_item_features(items, of_files(there), out, resume=True) == report
    assert out.read_bytes() == whole.read_bytes()
    lists = [tmp_path / f"{name}.left_out.csv" for name in ("text", "whole")]
    assert lists[0].read_bytes() == lists[1].read_bytes()


@pytest.mark.parametrize("suffix", [".npz", ".parquet", ".safetensors"])
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda x: Encoded(x[1:], {}), r"\[2, 3\] and 0 faults for 3 titles"),
        (lambda x: Encoded(x, {0: Fault("cut")}), r"\[3, 3\] and 1 faults for 3 titl"),
        (lambda x: Encoded(x[1:], {3: Fault("cut")}), r"\[2, 3\] and 0 faults for 3"),
        (lambda x: Encoded(x[:, 0], {}), r"\[3\] and 0 faults for 3 titles"),
    ],
)
def test_an_encoder_gives_a_row_or_a_fault_for_each(
    suffix, wrong, told, tmp_path, items
):
    def encode(contents):
        return wrong(np.ones((len(contents), 3), np.float32))

    out = tmp_path / f"text{suffix}"
    message = f"the encoder gave features of shape {told}"
    with pytest.raises(UserError, match=message):
        write_item_features(items, Encoder("title", encode, {}), out)
    assert not out.exists()


def test_parts_of_several_widths_are_no_file(items, tmp_path):
    widths = iter([2, 2, 3, 2])

    def encode(contents):
        return Encoded(np.ones((len(contents), next(widths)), np.float32), {})

    with pytest.raises(ValueError, match="blocks must have 3 columns"):
        write_item_features(items, Encoder("title", encode, {}), tmp_path / "a.npz")
    assert not (tmp_path / "a.npz").exists()


def test_no_features_at_all_is_one_line_and_leaves_nothing(tmp_path, fake_encoder):
    path = tmp_path / "items.csv"
    path.write_text("id,title\n1,\n2,broken\n")
    items = read_item_table(path, "title")
    with pytest.raises(UserError) as error:
        write_item_features(items, fake_encoder, tmp_path / "text.npz")
    assert str(error.value) == (
        f"{path}:3: no title has features; of this one: no such file: gone - check the "
        "model"
    )
    assert names(tmp_path) == ["items.csv"]


def test_strings_are_refused_before_any_work(tmp_path, fake_encoder):
    path = tmp_path / "items.csv"
    path.write_text("id,title\nx,a\n")
    items = read_item_table(path, "title")
    with pytest.raises(UserError, match="the item ids are strings, which safetensors"):
        write_item_features(
            items, stopping(fake_encoder, 0), tmp_path / "a.safetensors"
        )


@pytest.mark.parametrize("name", ["a.npz", "a.left_out.csv", "a.npz.parts"])
def test_a_link_a_list_and_parts_that_are_none_are_not_touched(name, tmp_path):
    os.symlink(tmp_path / "elsewhere", tmp_path / name)
    with pytest.raises(UserError, match="is a link"):
        check_out(tmp_path / "a.npz", inputs=[Path("items.csv")])


def test_the_table_is_not_written_over(tmp_path):
    table = tmp_path / "items.parquet"
    table.touch()
    with pytest.raises(UserError, match="is read by this command"):
        check_out(table, inputs=[table])
    table = tmp_path / "text.left_out.csv"
    table.touch()
    with pytest.raises(UserError, match="is read by this command"):
        check_out(tmp_path / "text.npz", inputs=[table])


@pytest.mark.parametrize(
    "write", [write_item_features, partial(write_shard, shard="1/2")]
)
def test_the_model_is_not_written_over(write, items, fake_encoder, tmp_path):
    weights, tokens = tmp_path / "model.safetensors", tmp_path / "a.left_out.csv"
    for file in (weights, tokens):
        file.write_text("weights")
    encoder = fake_encoder._replace(files=[weights, tokens])
    for out in (weights, tmp_path / "a.npz"):
        with pytest.raises(UserError, match="is read by this command - choose another"):
            write(items, encoder, out)
    assert weights.read_text() == tokens.read_text() == "weights"
    assert not list(tmp_path.glob("*.parts"))
