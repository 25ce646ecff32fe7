from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from fake_ray import FakeRay

from mmgraph.cli import main
from mmgraph.data.formats.features import read_features
from mmgraph.encode import texts
from mmgraph.encode.encoder import Encoded, Encoder


def lengths(titles):
    return Encoded(np.array([[len(title)] for title in titles], np.float32), {})


@pytest.mark.parametrize(("duplicates", "length"), [("first", 1), ("last", 4)])
def test_every_word_on_how_the_table_is_written_counts(
    tmp_path, monkeypatch, duplicates, length
):
    encoder = Encoder("title", lengths, {"model_sha256": "0"})
    monkeypatch.setattr(texts, "text_encoder", lambda *_, **__: encoder)
    table, out = tmp_path / "items.dat", tmp_path / "textual.npz"
    table.write_bytes("nr::nom::x\n1::é::\n2::thé::\n1::café::\n".encode("cp1252"))
    words = ["features", "text", str(table), "--out", str(out), "--quiet"]
    words += ["--item-col", "nr", "--title-col", "nom", "--sep", "::"]
    words += ["--encoding", "cp1252", "--duplicates", duplicates]
    assert main(words) == 0
    features, ids = read_features(out)
    found = dict(zip(ids.tolist(), features[:, 0].tolist(), strict=True))
    assert found == {1: length, 2: 3}


def test_shards_then_the_file(tmp_path, monkeypatch, capsys):
    encoder = Encoder("title", lengths, {"model_sha256": "0"})
    monkeypatch.setattr(texts, "text_encoder", lambda *_, **__: encoder)
    table, out = tmp_path / "items.csv", tmp_path / "textual.npz"
    table.write_text(
        "\n".join(["id,title", *(f"{n},{'x' * n}" for n in range(1, 301))])
    )
    words = ["features", "text", str(table), "--out", str(out), "--quiet"]
    assert main([*words, "--shard", "0/2"]) == 2
    assert capsys.readouterr().err.startswith("error: no such shard: '0/2'")
    assert main([*words, "--shard", "2/2", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["parts"], made["of"]) == (1, 2)
    assert main([*words, "--shard", "1/2"]) == 0
    assert capsys.readouterr().out == (
        f"{out}.parts: 2 of 2 parts\n"
        f"for {out} run again with --resume in place of --shard\n"
    )
    assert main([*words, "--resume"]) == 0
    features, ids = read_features(out)
    assert features[:, 0].tolist() == ids.tolist() == list(range(1, 301))


def test_a_cluster_makes_the_parts(tmp_path, monkeypatch, capsys):
    encoder = Encoder("title", lengths, {"model_sha256": "0"})
    monkeypatch.setattr(texts, "text_encoder", lambda *_, **__: encoder)
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    table = tmp_path / "items.csv"
    table.write_text(
        "\n".join(["id,title", *(f"{n},{'x' * n}" for n in range(1, 301))])
    )
    here, there = tmp_path / "here.npz", tmp_path / "there.npz"
    words = ["features", "text", str(table), "--quiet", "--device", "cpu", "--out"]
    assert main([*words, str(here)]) == 0
    assert main([*words, str(there), "--ray", "10.0.0.1:6379", "--threads", "2"]) == 0
    assert there.read_bytes() == here.read_bytes()
    assert fake.calls[1] == {"num_cpus": 2, "num_gpus": 0, "max_retries": 2}
    capsys.readouterr()
    assert main([*words, str(there), "--ray", "auto", "--shard", "1/2"]) == 2
    assert main([*words, str(there), "--gpus", "1"]) == 2
    assert capsys.readouterr().err == (
        "error: --shard and --ray are both given - give one of them\n"
        "error: --gpus is given without --ray - give both, or neither\n"
    )
