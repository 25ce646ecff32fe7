"""Parts of features on a Ray cluster; where Ray is not installed, its loop alone."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys

import numpy as np
import pytest
from fake_ray import FakeRay

from mmgraph.data.formats.tables.item_table import read_item_table
from mmgraph.encode import cluster_encoding, item_features
from mmgraph.encode.cluster_encoding import encoding
from mmgraph.encode.encoder import Encoded, Encoder
from mmgraph.encode.item_features import left_out_file, write_item_features
from mmgraph.encode.parts import parts_folder
from mmgraph.errors import UserError

TITLES = ["abc", "aab", "", "broken", "ccc", "b", "broken", "cab", "a", "bb", "c"]
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs Ray"
)


@pytest.fixture
def fake(monkeypatch):
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    return ray


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(item_features, "PART_ROWS", 3)
    cluster_encoding._encoder_of.cache_clear()


@pytest.fixture
def items(tmp_path):
    path = tmp_path / "items.csv"
    rows = [f"{100 - n},{title}" for n, title in enumerate(TITLES)]
    path.write_text("\n".join(["id,title", *rows, ",nobody"]))
    return read_item_table(path, "title")


def on_cluster(make, encoder, **options):
    return encoding(make, encoder, ray="10.0.0.1:6379", device="cpu", **options)


@pytest.mark.parametrize("name", ["text.npz", "text.parquet", "text.safetensors"])
def test_a_cluster_gives_the_bytes_of_one_process(
    fake, items, fake_encoder, tmp_path, name
):
    here, there = tmp_path / f"here-{name}", tmp_path / f"there-{name}"
    loaded, told = [], []

    def make(device):
        loaded.append(device)
        return fake_encoder

    expected = write_item_features(items, fake_encoder, here)
    with on_cluster(make, fake_encoder, threads=1) as parts:
        found = write_item_features(
            items, fake_encoder, there, encode_parts=parts, on_rows=told.append
        )
    assert there.read_bytes() == here.read_bytes()
    assert left_out_file(there).read_bytes() == left_out_file(here).read_bytes()
    assert found == expected
    assert sum(told) == len(items.contents) == 10
    assert loaded == ["cpu"]  # once in a worker, for all of its parts
    resources = {"num_cpus": 1, "num_gpus": 0, "max_retries": 2}
    assert fake.calls == ["10.0.0.1:6379", resources, "shutdown"]


def test_parts_that_are_there_are_not_made_again(fake, items, fake_encoder, tmp_path):
    out, whole, asked = tmp_path / "text.npz", tmp_path / "whole.npz", []
    write_item_features(items, fake_encoder, whole)
    item_features.write_shard(items, fake_encoder, out, "2/2")

    def encode(contents):
        asked.append(contents)
        return fake_encoder.encode(contents)

    noting = fake_encoder._replace(encode=encode)
    with on_cluster(lambda device: noting, fake_encoder) as parts:
        write_item_features(items, fake_encoder, out, resume=True, encode_parts=parts)
    contents = list(items.contents)
    assert asked == [contents[:3], contents[6:9]]
    assert out.read_bytes() == whole.read_bytes()


def test_what_a_cluster_gives_is_checked_like_an_encoder(
    fake, items, fake_encoder, tmp_path
):
    short = fake_encoder._replace(encode=lambda contents: Encoded(np.ones((1, 2)), {}))
    with (
        on_cluster(lambda device: short, fake_encoder) as parts,
        pytest.raises(UserError, match=r"the encoder gave features of shape \[1, 2\]"),
    ):
        write_item_features(items, fake_encoder, tmp_path / "a.npz", encode_parts=parts)
    assert not (tmp_path / "a.npz").exists()


def test_another_model_on_a_machine_and_none_are_told(
    fake, items, fake_encoder, tmp_path
):
    other = fake_encoder._replace(identity={"model_sha256": "1", "batch_size": 32})

    def nothing(device):
        raise UserError("no such folder", "check the path", path="/models/m")

    for make, message in (
        (
            lambda device: other,
            r"^model_sha256 is 1 on .+, and 0+ here - give all",
        ),
        (nothing, r"^/models/m: no such folder \(on .+\) - check the path$"),
    ):
        with (
            on_cluster(make, fake_encoder) as parts,
            pytest.raises(UserError, match=message),
        ):
            write_item_features(
                items, fake_encoder, tmp_path / "a.npz", resume=True, encode_parts=parts
            )
    assert not (tmp_path / "a.npz").exists()


def test_without_an_address_this_process_encodes(fake_encoder):
    with encoding(lambda device: fake_encoder, fake_encoder) as parts:
        assert parts is None


def test_gpus_are_refused_where_this_process_has_none(fake, fake_encoder):
    with (
        pytest.raises(UserError, match=r"^--gpus is 1, and this process computes on a"),
        on_cluster(lambda device: fake_encoder, fake_encoder, gpus=1),
    ):
        pass
    assert fake.calls == []


@needs_ray
def test_on_workers_of_ray_of_which_one_is_killed(items, tmp_path):
    import ray

    killed = tmp_path / "killed"

    def make(device):  # a function of a function, which Ray copies whole
        def encode(contents):
            if "a" in contents and not killed.exists():
                killed.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            rows = [[len(text), text.count("a")] for text in contents]
            return Encoded(np.array(rows, np.float32), {})

        return Encoder("title", encode, {"model_sha256": "0"})

    here, there = tmp_path / "here.npz", tmp_path / "there.npz"
    encoder = make("cpu")
    killed.touch()
    expected = write_item_features(items, encoder, here)
    killed.unlink()
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        with encoding(make, encoder, ray="auto", device="cpu") as parts:
            found = write_item_features(items, encoder, there, encode_parts=parts)
    finally:
        ray.shutdown()
    assert killed.exists()
    assert there.read_bytes() == here.read_bytes()
    assert found == expected
    assert not parts_folder(there).exists()
