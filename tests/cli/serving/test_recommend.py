from __future__ import annotations

import json
import re
import sys

import pandas as pd
import pytest
from fake_ray import FakeRay

from mmgraph.cli import main
from mmgraph.data import load_dataset
from mmgraph.functional.block_sizes import BlockSize
from mmgraph.schema import INTERACTS


@pytest.fixture(scope="module")
def train(catalogue):
    return load_dataset(catalogue)[0]


def recommend(run, out, *words):
    return main(["recommend", str(run), "--out", str(out), "--quiet", *words])


@pytest.mark.parametrize("name", ["top.csv", "top.parquet"])
def test_every_user_gets_new_items_under_original_ids(run, tmp_path, train, name):
    assert recommend(run, tmp_path / name, "--k", "5") == 0
    read = pd.read_csv if name.endswith("csv") else pd.read_parquet
    table = read(tmp_path / name)
    assert list(table.columns) == ["user_id", "item_id", "rank", "score"]
    users, items = train["user"].raw_id, train["item"].raw_id
    assert set(table["user_id"]) == set(users)
    assert set(table["item_id"]) <= set(items)
    user, item = train[INTERACTS].edge_index.numpy()
    seen = set(zip(users[user], items[item], strict=True))
    assert not seen & set(zip(table["user_id"], table["item_id"], strict=True))
    for _, mine in table.groupby("user_id"):
        assert list(mine["rank"]) == [1, 2, 3, 4, 5]
        assert mine["score"].is_monotonic_decreasing


def test_users_come_from_a_list_or_a_file(run, tmp_path, train, capsys):
    wanted = train["user"].raw_id[[4, 2]].tolist()
    (tmp_path / "users.txt").write_text(
        "\ufeff" + "\r\n".join(map(str, wanted)) + "\n\n"
    )
    tables = []
    for users in (",".join(map(str, wanted)), str(tmp_path / "users.txt")):
        assert recommend(run, tmp_path / "a.csv", "--users", users, "--json") == 0
        tables.append(pd.read_csv(tmp_path / "a.csv"))
    assert list(tables[0]["user_id"].unique()) == wanted
    pd.testing.assert_frame_equal(*tables)
    result = json.loads(capsys.readouterr().out.partition("}")[0] + "}")
    assert (result["users"], result["rows"], result["k"]) == (2, 40, 20)


@pytest.mark.parametrize(
    ("users", "message"),
    [
        (
            "nobody",
            "unknown user id 'nobody' - use an id of the catalogue, or choose "
            "unknown 'skip' or 'popular'",
        ),
        (" , ", "no user ids given - write one"),
        ("missing.txt", "no such file or user id: 'missing.txt' - give a file"),
        ("no/where", "no such file or user id: 'no/where' - give a file"),
        ("x" * 300, "unknown user id 'xxx"),  # too long for the name of a file
    ],
)
def test_wrong_users_are_told_and_nothing_is_written(
    run, tmp_path, capsys, users, message
):
    assert recommend(run, tmp_path / "a.csv", "--users", users) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"user_id\n", "users.txt:1: unknown user id 'user_id' - .* and no header"),
        (
            b"\n{known}\nx\nx\n",
            "users.txt:3: unknown user id 'x' - .*, or choose unknown 'skip' or",
        ),
        (b"\xe9\n", "users.txt: not UTF-8 text - write one id per line, in UTF-8"),
    ],
)
def test_a_wrong_file_of_users_is_told_with_its_row(
    run, tmp_path, train, capsys, content, message
):
    path = tmp_path / "users.txt"
    path.write_bytes(content.replace(b"{known}", str(train["user"].raw_id[0]).encode()))
    assert recommend(run, tmp_path / "a.csv", "--users", str(path)) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "a.csv").exists()


def test_a_user_who_is_named_twice_is_written_once(run, tmp_path, train):
    one, two = map(str, train["user"].raw_id[[4, 2]])
    words = ["--users", f"{one},{two},{one}", "--k", "3"]
    assert recommend(run, tmp_path / "a.csv", *words) == 0
    table = pd.read_csv(tmp_path / "a.csv")
    assert table["user_id"].astype(str).tolist() == [one] * 3 + [two] * 3


def test_chosen_items_with_titles_in_shards(run, tmp_path, train, capsys):
    names = [str(name) for name in train["item"].raw_id[[3, 4, 5]]]
    (tmp_path / "allow.txt").write_text("\n".join(names))
    rows = ["sku;nom", f"{names[0]};Thé", f"{names[0]};Thé vert"]
    (tmp_path / "titles.csv").write_text("\n".join(rows), "latin-1")
    words = ["--allow", str(tmp_path / "allow.txt"), "--deny", names[2], "--k", "3"]
    words += ["--include-seen", "--titles", str(tmp_path / "titles.csv"), "--json"]
    words += ["--item-col", "sku", "--title-col", "nom", "--sep", ";"]
    words += ["--encoding", "latin-1", "--duplicates", "first"]
    words += ["--users", f"{train['user'].raw_id[0]},eve", "--unknown", "popular"]
    assert recommend(run, tmp_path / "top", *words, "--shard-rows", "1000") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 4
    table = pd.read_parquet(tmp_path / "top" / "part-00000.parquet")
    assert list(table.columns) == ["user_id", "item_id", "rank", "score", "title"]
    titles = {tuple(row) for row in table[["item_id", "title"]].astype(str).to_numpy()}
    assert titles == {(names[0], "Thé"), (names[1], "")}
    assert table["user_id"].tolist()[2:] == ["eve", "eve"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--allow", "nothing"], "unknown item id 'nothing' - use an id of the cat"),
        (["--candidates", "new"], "candidates is 'new' - write all, warm, cold"),
        (["--candidates", "cold"], "no cold item: every item has training"),
        (["--unknown", "guess"], "unknown is 'guess' - write error, skip, popular"),
        (["--users", "eve", "--unknown", "skip"], "none of the 1 users is known"),
        (["--titles", "no.csv"], "no.csv: no such file"),
        (["--shard-rows", "-1"], "shard-rows must be in [0,"),
    ],
)
def test_wrong_choices_are_told_and_nothing_is_written(
    run, tmp_path, capsys, words, message
):
    assert recommend(run, tmp_path / "a.csv", *words) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [[], ["--users"], ["--allow"]])
def test_shards_follow_each_other(run, tmp_path, train, monkeypatch, words):
    """Together they are the table of all, to the last digit."""
    monkeypatch.setattr(
        "mmgraph.train.evaluation.RANKED_SCORES",
        BlockSize(7 * train["item"].num_nodes, 1),
    )
    if words:
        kind, count = ("item", 20) if "--allow" in words else ("user", 30)
        words = [*words, ",".join(map(str, train[kind].raw_id[:count]))]
    assert recommend(run, tmp_path / "all.csv", *words) == 0
    parts = []
    for number in (1, 2, 3):
        path = tmp_path / f"{number}.csv"
        assert recommend(run, path, "--shard", f"{number}/3", *words) == 0
        parts.append(path.read_text().partition("\n")[2])
    header, _, rows = (tmp_path / "all.csv").read_text().partition("\n")
    assert header == "user_id,item_id,rank,score"
    assert "".join(parts) == rows
    assert all(parts)


@pytest.mark.parametrize(
    ("shard", "message"),
    [
        ("3/2", "no such shard: '3/2' - write i/n with i from 1 to n"),
        ("900/900", "shard 900/900 has no users, who are ranked .* - use fewer shards"),
    ],
)
def test_wrong_shards_are_told(run, tmp_path, capsys, shard, message):
    assert recommend(run, tmp_path / "top.csv", "--shard", shard) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "top.csv").exists()


@pytest.mark.parametrize("words", [[], ["--shard-rows", "100"]])
def test_a_cluster_gives_the_same_bytes(run, tmp_path, monkeypatch, words):
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    names = ["here.parquet", "there.parquet"]
    for name, more in zip(names, ([], ["--ray", "10.0.0.1:6379"]), strict=True):
        assert recommend(run, tmp_path / name, "--device", "cpu", *words, *more) == 0
    assert fake.calls[0] == "10.0.0.1:6379"
    files = [sorted((tmp_path / name).glob("*")) or [tmp_path / name] for name in names]
    here, there = ([path.read_bytes() for path in each] for each in files)
    assert there == here


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ray", "auto", "--shard", "1/2"], "--shard and --ray are both given"),
        (["--gpus", "1"], "--gpus is given without --ray - give both, or neither"),
        (["--ray", "auto"], "Ray is not installed - pip install 'mmgraph[ray]'"),
    ],
)
def test_wrong_words_on_a_cluster_are_told(
    run, tmp_path, capsys, monkeypatch, words, message
):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert recommend(run, tmp_path / "top.csv", *words) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
