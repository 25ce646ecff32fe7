from __future__ import annotations

import json

import numpy as np
import pytest

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
