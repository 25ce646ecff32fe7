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
    recommend_blocks,
    recommend_table,
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
