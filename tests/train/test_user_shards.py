from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.functional.block_sizes import BlockSize
from mmgraph.models import build_model
from mmgraph.schema import INTERACTS
from mmgraph.train.evaluation import evaluate, users_per_block
from mmgraph.train.recommendations import Audience
from mmgraph.train.user_shards import (
    audience_of_shard,
    block_of_shards,
    split_of_shard,
)

STRANGERS = ("eve", "bob")


@pytest.mark.parametrize("count", [1, 2, 4])
def test_shares_are_whole_blocks_that_follow_each_other(count):
    users = torch.tensor([9, 3, 5, 7, 1, 2, 8, 4, 6, 0])
    shards = [(number, count) for number in range(1, count + 1)]
    shares = [audience_of_shard(Audience(users), shard, 3) for shard in shards]
    assert torch.equal(torch.cat([share.users for share in shares]), users)
    assert all(len(share.users) % 3 == 0 for share in shares[:-1])


def test_users_that_the_data_lack_are_of_the_last_share():
    audience = Audience(torch.arange(4), STRANGERS)
    assert audience_of_shard(audience, (1, 3), 2).strangers == ()
    last = audience_of_shard(audience, (3, 3), 2)
    assert (last.users.tolist(), last.strangers) == ([], STRANGERS)


def test_a_share_without_users_is_refused():
    told = "shard 3/3 has no users, who are ranked 2 at a time - use fewer shards"
    with pytest.raises(UserError, match=re.escape(told)):
        audience_of_shard(Audience(torch.arange(4)), (3, 3), 2)


def test_evaluated_shares_are_those_of_the_whole_split(splits, monkeypatch):
    train, _, test = splits
    model = build_model("MF-BPR", train, embedding_dim=8)
    scores = BlockSize(7 * model.num_items, 1)
    monkeypatch.setattr("mmgraph.train.evaluation.RANKED_SCORES", scores)
    before = test[INTERACTS].edge_label_index
    whole = evaluate(model, test, ks=(3, 5), per_user=True)
    parts = [
        evaluate(model, split_of_shard(model, test, 5, shard), ks=(3, 5), per_user=True)
        for shard in ((1, 3), (2, 3), (3, 3))
    ]
    assert [len(part["user"]) % 7 for part in parts[:2]] == [0, 0]
    for name, values in whole.items():
        joined = np.concatenate([part[name] for part in parts])
        assert np.array_equal(joined, values)
    assert test[INTERACTS].edge_label_index is before


def test_machines_of_several_kinds_divide_at_the_same_places(splits):
    """A GPU ranks larger blocks: users between two ends would be missing."""
    model = build_model("MF-BPR", splits[0], embedding_dim=8)
    on_cpu = block_of_shards(model, 2**18, 20)
    assert block_of_shards(model.to("meta"), 2**18, 20) == on_cpu
    assert users_per_block(model, 2**18, 20) != on_cpu


def test_an_empty_split_is_told_as_without_shares(splits):
    train, _, test = splits
    empty = test.clone()
    empty[INTERACTS].edge_label_index = torch.empty(2, 0, dtype=torch.long)
    model = build_model("MF-BPR", train, embedding_dim=8)
    with pytest.raises(UserError, match="the split has no interactions"):
        evaluate(model, split_of_shard(model, empty, 5, (1, 2)))
