from __future__ import annotations

import importlib.util
import json
import os
import signal

import numpy as np
import pytest

from mmgraph.cli import main
from mmgraph.cli.features.arguments import row_bar
from mmgraph.data import load_dataset, read_graph
from mmgraph.data.formats.features import read_features
from mmgraph.encode import item_features, texts
from mmgraph.encode.encoder import Encoded, Encoder
from mmgraph.encode.texts import text_encoder


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder with a table; titles are encoded without a model, three at a time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(item_features, "PART_ROWS", 3)
    rows = [f"i{n};{'a' * n};x" for n in range(10)]
    text = "\n".join(["sku;naam;foto", *rows])
    (tmp_path / "items.csv").write_text(text, "latin-1")
    encode = Encoding()
    identity = {"model_sha256": "0"}
    monkeypatch.setattr(
        texts, "text_encoder", lambda *_, **__: Encoder("title", encode, identity)
    )
    return encode


class Encoding:
    """Encodes titles by their length; a part may be interrupted."""

    def __init__(self):
        self.parts, self.at, self.number = 0, None, None

    def __call__(self, contents):
        self.parts += 1
        if self.parts == self.at:
            os.kill(os.getpid(), self.number)
        rows = [[len(text), 1.0] for text in contents]
        return Encoded(np.array(rows, np.float32), {})


WORDS = [
    *("features", "text", "items.csv", "--out", "textual.npz", "--sep", ";"),
    *("--item-col", "sku", "--column", "naam", "--encoding", "latin-1"),
]


def test_what_was_done_is_said(shop, capsys):
    assert main([*WORDS, "--device", "cpu"]) == 0
    assert capsys.readouterr().out == (
        "9 items, 2 numbers each (float32), in textual.npz\n"
        "left out, listed in textual.left_out.csv: no title (1)\n"
    )
    assert read_features("textual.npz")[1].tolist() == [f"i{n}" for n in range(1, 10)]


def test_machines_get_one_document(shop, capsys):
    assert main([*WORDS, "--json", "--quiet", "--dtype", "float16"]) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert captured.err == ""
    assert len(report.pop("table_sha256")) == 64
    assert report == {
        "out": "textual.npz",
        "left_out_file": "textual.left_out.csv",
        "items": 9,
        "dimension": 2,
        "dtype": "float16",
        "left_out": {"no title": 1},
        "model_sha256": "0",
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_goes_on(number, shop, capsys, tmp_path):
    assert main([*WORDS, "--quiet"]) == 0
    whole = (tmp_path / "textual.npz").read_bytes()
    (tmp_path / "textual.npz").unlink()
    shop.parts, shop.at, shop.number = 0, 3, number
    assert main([*WORDS, "--quiet"]) == 128 + number
    assert capsys.readouterr().err == (
        "error: interrupted - run again, with --resume where the command has it\n"
    )
    assert not (tmp_path / "textual.npz").exists()
    shop.parts = 10
    assert main([*WORDS, "--quiet"]) == 2
    assert "go on with --resume, or delete that folder" in capsys.readouterr().err
    assert main([*WORDS, "--quiet", "--resume"]) == 0
    assert shop.parts == 11  # two of three were there
    assert (tmp_path / "textual.npz").read_bytes() == whole


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "a.npy"], "error: a.npy: holds no ids, so that items without feat"),
        (["--dtype", "int8"], "error: dtype is 'int8' - write float32 or float16\n"),
        (["--column", "x"], "error: items.csv:1: no column 'x' among 'sku', 'naam', "),
        (["--out", "a.safetensors"], "error: a.safetensors: the item ids are strings,"),
        (["--batch-size", "0"], "error: invalid value for '--batch-size': "),
        (["--out", "items.csv"], "error: items.csv: unknown feature format '.csv' - c"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    words, message, shop, capsys, tmp_path
):
    assert main([*WORDS, *words, "--quiet"]) == 2
    assert capsys.readouterr().err.startswith(message)
    assert [path.name for path in tmp_path.iterdir()] == ["items.csv"]
    assert shop.parts == 0


def test_the_features_go_into_a_data_folder_and_a_graph(shop, capsys, tmp_path):
    assert main([*WORDS, "--quiet"]) == 0
    pairs = [f"u{n % 4},i{(n * 7 + n // 4) % 10}" for n in range(40)]
    rows = sorted(set(pairs))
    (tmp_path / "orders.csv").write_text("\n".join(["user,item", *rows]))
    small = ["--device", "cpu", "--quiet"]
    words = ["data", "import", "--inter", "orders.csv", "--split", "per_user", *small]
    assert main([*words, "--feat", "textual=textual.npz", "--out", "data"]) == 0
    item = load_dataset("data")[0]["item"]
    assert item.raw_id[~item.mask_textual.numpy()].tolist() == ["i0"]
    words = ["knn", "build", "textual.npz", "--k", "2", "--out", "graph.pt", *small]
    assert main(words) == 0
    assert list(read_graph("graph.pt").ids) == [f"i{n}" for n in range(1, 10)]


def test_without_the_extra_one_line_names_it(shop, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(texts, "text_encoder", text_encoder)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert main([*WORDS, "--quiet"]) == 2
    assert capsys.readouterr().err == (
        "error: sentence_transformers is not installed - pip install "
        "'mmgraph[encode]'\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["items.csv"]


def test_a_bar_is_shown_on_a_terminal_alone(monkeypatch, capsys):
    with row_bar(10) as on_rows:
        assert on_rows is None
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with row_bar(10) as on_rows:
        on_rows(4)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "rows" in captured.err
