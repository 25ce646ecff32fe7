from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.models import build_model
from mmgraph.schema import INTERACTS
from mmgraph.train.recommendations import recommend_table


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
