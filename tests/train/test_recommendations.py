from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.functional.block_sizes import BlockSize
from mmgraph.models import build_model
from mmgraph.schema import INTERACTS
from mmgraph.train import recommendations
from mmgraph.train.recommendations import (
    Audience,
    Choice,
    choose_users,
    recommend_blocks,
    recommend_chosen,
    recommend_table,
    write_shards,
    write_table,
)


def test_the_table_equals_a_slow_ranking_with_original_ids(splits):
    train = splits[0]
    model = build_model("MF-BPR", train, embedding_dim=8)
    with torch.no_grad():
        z_user, z_item = model.encode(train)
    seen = set(map(tuple, train[INTERACTS].edge_index.t().tolist()))
    expected = []
    for user in (3, 0):
        scores = (z_user[user] @ z_item.t()).tolist()
        allowed = [i for i in range(50) if (user, i) not in seen]
        top = sorted(allowed, key=lambda item: -scores[item])[:5]
        expected += [
            (train["user"].raw_id[user], train["item"].raw_id[item], rank)
            for rank, item in enumerate(top, 1)
        ]
    ids = [str(train["user"].raw_id[user]) for user in (3, 0)]
    table = recommend_table(model, train, ids, k=5)
    found = table[["user_id", "item_id", "rank"]].itertuples(index=False, name=None)
    assert list(found) == expected


def test_all_users_never_get_a_training_item_and_short_lists_stay_short(splits):
    train = splits[0]
    model = build_model("MF-BPR", train, embedding_dim=8)
    table = recommend_table(model, train, k=50)
    raw = train["user"].raw_id, train["item"].raw_id
    user, item = train[INTERACTS].edge_index.numpy()
    seen = set(zip(raw[0][user], raw[1][item], strict=True))
    assert not seen & set(zip(table["user_id"], table["item_id"], strict=True))
    lengths = table.groupby("user_id").size()
    degree = dict(zip(*np.unique(raw[0][user], return_counts=True), strict=True))
    assert all(length == 50 - degree[u] for u, length in lengths.items())


def test_a_user_who_has_everything_gets_nothing(splits):
    train = copy.copy(splits[0])
    every = torch.stack([torch.zeros(50, dtype=torch.long), torch.arange(50)])
    train[INTERACTS].edge_index = torch.cat([train[INTERACTS].edge_index, every], dim=1)
    model = build_model("MF-BPR", train, embedding_dim=8)
    assert recommend_table(model, train, [train["user"].raw_id[0]], k=5).empty


def test_no_users_get_an_empty_table(splits):
    model = build_model("MF-BPR", splits[0])
    table = recommend_table(model, splits[0], [], k=3)
    assert list(table.columns) == ["user_id", "item_id", "rank", "score"]
    assert len(table) == 0


def test_an_unknown_user_is_named(splits):
    model = build_model("MF-BPR", splits[0], embedding_dim=8)
    with pytest.raises(UserError, match="unknown user id 'nobody'"):
        recommend_table(model, splits[0], ["nobody"])


def test_the_parts_are_the_table_and_no_part_is_long(splits, monkeypatch):
    train = splits[0]
    model = build_model("MF-BPR", train, embedding_dim=8)
    whole = recommend_table(model, train, k=7)
    monkeypatch.setattr(recommendations, "_ROWS", 1)
    monkeypatch.setattr(BlockSize, "rows", lambda *args, **kwargs: 3)
    counted = []
    parts = list(recommend_blocks(model, train, k=7, on_users=counted.append))
    assert len(parts) == len(counted) == -(-train["user"].num_nodes // 3)
    assert sum(counted) == train["user"].num_nodes
    assert max(map(len, parts)) <= 3 * 7
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)


@pytest.mark.parametrize("name", ["top.csv", "top.parquet"])
def test_parts_are_written_as_the_table_is_and_one_at_a_time(tmp_path, name):
    columns = {"user_id": ["a", "b", "b"], "rank": [1, 1, 2], "score": [0.1, 1 / 3, 2]}
    table = pd.DataFrame(columns)
    sizes = []

    def parts():
        for start, stop in [(0, 0), (0, 1), (1, 1), (1, 3)]:
            path = next(tmp_path.glob(".*"), None)
            sizes.append(0 if path is None else path.stat().st_size)
            yield table[start:stop]

    write_table(parts(), tmp_path / name)
    write_table(table, tmp_path / f"whole-{name}")
    read = pd.read_csv if name.endswith("csv") else pd.read_parquet
    found = read(tmp_path / name)
    pd.testing.assert_frame_equal(found, read(tmp_path / f"whole-{name}"))
    assert sizes[-1] > 0  # what came before is in the file already
    if name.endswith("csv"):
        table.to_csv(tmp_path / "pandas.csv", index=False)
        content = (tmp_path / "pandas.csv").read_bytes()
        assert (tmp_path / name).read_bytes() == content


def test_a_part_that_fails_leaves_no_file(tmp_path):
    def parts():
        yield pd.DataFrame({"rank": [1]})
        raise UserError("the model's scores are not finite", "train it")

    for name in ("top.csv", "top.parquet"):
        with pytest.raises(UserError, match="not finite"):
            write_table(parts(), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def cold(splits):
    """Training data in which three items have no interaction, and its model."""
    train = copy.copy(splits[0])
    edges = train[INTERACTS].edge_index
    train[INTERACTS].edge_index = edges[:, edges[1] > 2]
    return train, build_model("MF-BPR", train, embedding_dim=8)


def slow_lists(train, model, k, items, include_seen):
    """Users, items and ranks by a loop over all scores."""
    with torch.no_grad():
        z_user, z_item = model.encode(train)
    seen = set(map(tuple, train[INTERACTS].edge_index.t().tolist()))
    for user in range(train["user"].num_nodes):
        scores = (z_item @ z_user[user]).tolist()
        free = [i for i in items if include_seen or (user, i) not in seen]
        for rank, item in enumerate(sorted(free, key=lambda i: -scores[i])[:k], 1):
            yield user, item, rank


@pytest.mark.parametrize("include_seen", [True, False])
@pytest.mark.parametrize(
    ("choice", "items"),
    [
        ({}, range(50)),
        ({"candidates": "cold"}, range(3)),
        ({"candidates": "warm"}, range(3, 50)),
        ({"allow": [1, 7, 30, 31], "deny": [7, 8]}, [1, 30, 31]),
        ({"candidates": "warm", "allow": range(9), "deny": [4]}, [3, 5, 6, 7, 8]),
    ],
)
def test_chosen_items_are_ranked_as_a_loop_ranks_them(
    cold, choice, items, include_seen
):
    train, model = cold
    users, names = (train[kind].raw_id.tolist() for kind in ("user", "item"))
    words = {
        key: value if isinstance(value, str) else ",".join(str(names[n]) for n in value)
        for key, value in choice.items()
    }
    chosen = Choice(include_seen=include_seen, **words)
    audience = choose_users(None, train, "error")
    table = pd.concat(recommend_chosen(model, train, audience, 5, chosen))
    found = table[["user_id", "item_id", "rank"]].itertuples(index=False, name=None)
    expected = slow_lists(train, model, 5, items, include_seen)
    assert list(found) == [(users[u], names[i], rank) for u, i, rank in expected]


@pytest.mark.parametrize("kind", ["strings", "integers", "both"])
def test_unknown_users_get_what_is_popular(cold, tmp_path, kind):
    train, model = copy.copy(cold[0]), cold[1]
    if kind != "strings":
        train["user"].raw_id = np.arange(60)
    known, strangers = str(train["user"].raw_id[5]), ["901", "777"]
    strangers += ["eve"] if kind != "integers" else []
    words = ",".join([strangers[0], known, *strangers[1:]])
    audience = choose_users(words, train, "popular")
    choice = Choice(deny=str(train["item"].raw_id[49]))
    table = pd.concat(recommend_chosen(model, train, audience, 4, choice))
    write_table(table, tmp_path / "top.parquet")
    ids = [known, *strangers]
    if kind == "integers":
        ids = [int(each) for each in ids]
    assert table["user_id"].unique().tolist() == ids
    pairs = train[INTERACTS].edge_index[1].tolist()
    best = sorted(range(49), key=lambda item: -pairs.count(item))[:4]
    for stranger in ids[1:]:
        own = table[table["user_id"] == stranger]
        assert own["item_id"].tolist() == train["item"].raw_id[best].tolist()
        assert own["score"].tolist() == [pairs.count(item) for item in best]
        assert own["rank"].tolist() == [1, 2, 3, 4]


def test_unknown_users_may_be_left_out(cold, caplog):
    train, _ = cold
    caplog.set_level("INFO")
    known = str(train["user"].raw_id[5])
    audience = choose_users(f"eve,{known},adam", train, "skip")
    assert (audience.users.tolist(), audience.strangers) == ([5], ())
    assert caplog.messages == ["unknown users left out: 2"]
    with pytest.raises(UserError, match="none of the 2 users is known - name others"):
        choose_users("eve,adam", train, "skip")
    with pytest.raises(UserError, match="unknown is 'x' - write error, skip, popular"):
        choose_users("eve", train, "x")
    with pytest.raises(UserError, match="unknown user id 'eve'"):
        choose_users(f"eve,{known}", train, "error")


@pytest.mark.parametrize("include_seen", [False, True])
@pytest.mark.parametrize("candidates", ["all", "warm"])
def test_a_user_of_whom_nothing_is_known_gets_what_is_popular(
    cold, caplog, include_seen, candidates
):
    caplog.set_level("INFO")
    train, model = cold[0], build_model("MF-BPR", cold[0], embedding_dim=8)
    with torch.no_grad():
        model.user.weight[[4, 9]] = 0.0
    users, names = (train[kind].raw_id.tolist() for kind in ("user", "item"))
    choice = {"include_seen": include_seen, "candidates": candidates}
    three = Audience(torch.tensor([9, 2, 4]))
    table = pd.concat(recommend_chosen(model, train, three, 5, Choice(**choice)))
    assert table["user_id"].unique().tolist() == [users[u] for u in (9, 2, 4)]
    user, item = train[INTERACTS].edge_index.tolist()
    for lost in (4, 9):
        own = {i for u, i in zip(user, item, strict=True) if u == lost}
        free = [i for i in range(50) if include_seen or i not in own]
        best = sorted(free, key=lambda i: -item.count(i))[:5]
        found = table[table["user_id"] == users[lost]]
        assert found["item_id"].tolist() == [names[i] for i in best]
        assert found["score"].tolist() == [item.count(i) for i in best]
        assert found["rank"].tolist() == [1, 2, 3, 4, 5]
    who, popular = "users of whom the system knows nothing", "the most popular items"
    assert caplog.messages == [f"{who} given {popular}: 2"]
    skip = Choice(unknown="skip", **choice)
    left = pd.concat(recommend_chosen(model, train, three, 5, skip))
    known = table[table["user_id"] == users[2]]
    pd.testing.assert_frame_equal(left, known.reset_index(drop=True))
    assert caplog.messages[-1] == f"{who} left out: 2"


def test_titles_stand_beside_the_ids(cold):
    train, model = cold
    names = train["item"].raw_id.tolist()
    titles = {str(name): f"title of {name}" for name in names[:49]}
    choice = Choice(titles=titles, include_seen=True)
    two = Audience(torch.tensor([1, 4]))
    table = pd.concat(recommend_chosen(model, train, two, 50, choice))
    expected = [titles.get(str(item), "") for item in table["item_id"]]
    assert table["title"].tolist() == expected
    assert "" in expected


def test_shards_are_the_table_in_files(tmp_path):
    table = pd.DataFrame({"user_id": list("aabbccdde"), "rank": range(9)})
    parts = [table[start : start + 2] for start in range(0, 9, 2)]
    write_shards(parts, tmp_path / "top", rows=3)
    files = sorted((tmp_path / "top").glob("*.parquet"))
    assert [path.name for path in files] == [f"part-{n:05}.parquet" for n in range(3)]
    shards = [pd.read_parquet(path) for path in files]
    assert [len(shard) for shard in shards] == [4, 4, 1]
    pd.testing.assert_frame_equal(pd.concat(shards, ignore_index=True), table)
    write_shards([table], tmp_path / "top", rows=3)  # what we made is replaced
    assert len(list((tmp_path / "top").glob("*.parquet"))) == 1

    def broken():
        yield table
        raise UserError("the model's scores are not finite", "train it")

    with pytest.raises(UserError, match="not finite"):
        write_shards(broken(), tmp_path / "new", rows=3)
    assert not (tmp_path / "new").exists()
    (tmp_path / "top" / "notes.txt").touch()
    with pytest.raises(
        UserError, match=r"holds 'notes.txt', which is not from mmgraph"
    ):
        write_shards([table], tmp_path / "top", rows=3)
