from __future__ import annotations

import copy

import pytest
import torch

from mmgraph.data import synthetic
from mmgraph.errors import UserError
from mmgraph.models import build_model
from mmgraph.schema import INTERACTS
from mmgraph.train.measures.split_lists import rank_split


@pytest.fixture(scope="module")
def splits():
    *three, _ = synthetic(num_users=60, num_items=50, interactions_per_user=12)
    return [_colder(each) for each in three]


def _colder(data):
    data = copy.copy(data)
    edges = data[INTERACTS].edge_index
    data[INTERACTS].edge_index = edges[:, edges[1] > 9]
    return data


@pytest.mark.parametrize("candidates", ["all", "warm", "cold"])
def test_lists_are_those_of_a_loop(splits, candidates):
    train, _, test = splits
    model = build_model("MF-BPR", train, embedding_dim=8)
    lists = rank_split(model, test, 7, candidates)
    with torch.no_grad():
        z_user, z_item = model.encode(test)
    seen = set(map(tuple, test[INTERACTS].edge_index.t().tolist()))
    warm = {item for _, item in seen}
    own = {"all": set(range(50)), "warm": warm, "cold": set(range(50)) - warm}[
        candidates
    ]
    wanted = {
        pair
        for pair in map(tuple, test[INTERACTS].edge_label_index.t().tolist())
        if pair[1] in own
    }
    assert lists.num_candidates == len(own)
    assert set(map(tuple, lists.positives.t().tolist())) == wanted
    assert lists.users.tolist() == sorted({user for user, _ in wanted})
    for user, items, hits in zip(
        lists.users.tolist(), lists.items.tolist(), lists.hits.tolist(), strict=True
    ):
        score = (z_item @ z_user[user]).tolist()
        free = [item for item in own if (user, item) not in seen]
        best = sorted(free, key=lambda item: -score[item])[:7]
        assert items == best + [-1] * (len(items) - len(best))
        assert hits == [(user, item) in wanted for item in items]


def test_a_split_without_such_items_is_refused(splits):
    train, _, test = splits
    test = copy.copy(test)
    labels = test[INTERACTS].edge_label_index
    test[INTERACTS].edge_label_index = labels[:, labels[1] > 9]
    with pytest.raises(UserError, match="no positive of the split is one of the cold"):
        rank_split(build_model("MF-BPR", train), test, 5, "cold")
    test[INTERACTS].edge_label_index = labels[:, :0]  # as after training on everything
    with pytest.raises(UserError, match=r"split has no interactions - .* --split none"):
        rank_split(build_model("MF-BPR", train), test, 5)
