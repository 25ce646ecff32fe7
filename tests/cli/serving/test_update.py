from __future__ import annotations

import json

import pandas as pd
import pytest

from mmgraph.cli import main
from mmgraph.data import load_dataset


@pytest.fixture
def tomorrow(catalogue, tmp_path):
    """The catalogue of the tests with a new user, who has three items."""
    splits = load_dataset(catalogue)
    ids = splits[0]["item"].raw_id
    pairs = []
    for name, split in zip(("train", "valid", "test"), splits, strict=True):
        user, item = split["user", "interacts", "item"].edge_label_index
        users, items = split["user"].raw_id[user], split["item"].raw_id[item]
        part = {"user": users.astype(str), "item": items.astype(str), "split": name}
        pairs.append(pd.DataFrame(part))
    mine = {"user": "0 me", "item": ids[[4, 9, 11]].astype(str), "split": "train"}
    folder = tmp_path / "tomorrow"
    folder.mkdir()
    table = pd.concat([*pairs, pd.DataFrame(mine)])
    table.to_csv(folder / "interactions.csv", index=False)
    return folder


def test_a_run_is_taken_over_to_new_data(run, tomorrow, tmp_path, capsys):
    words = ["update", str(run), "--data", str(tomorrow), "--quiet"]
    assert main([*words, "--out", str(tmp_path / "next")]) == 0
    said = capsys.readouterr().out
    assert "users (1 new, 0 gone)" in said
    assert "recall@20" in said
    words = [*words, "--out", str(tmp_path / "warm"), "--epochs", "1", "--json"]
    assert main(words) == 0
    info = json.loads(capsys.readouterr().out)
    assert (info["epochs"], info["updated_from"]["new_users"]) == (1, 1)
    top = tmp_path / "top.csv"
    words = ["recommend", str(tmp_path / "next"), "--users", "0 me", "--k", "5"]
    assert main([*words, "--out", str(top), "--quiet"]) == 0
    assert len(pd.read_csv(top)) == 5


def test_what_is_wrong_is_one_line(run, tomorrow, tmp_path, capsys):
    out = ["--out", str(tmp_path / "next"), "--quiet"]
    assert main(["update", str(run), "--data", str(tomorrow / "no"), *out]) == 2
    assert "no such folder" in capsys.readouterr().err
    words = ["update", str(run), "--data", str(tomorrow), "--epochs", "-1", *out]
    assert main(words) == 2
    assert "epochs must be in [0, " in capsys.readouterr().err
    assert not (tmp_path / "next").exists()
