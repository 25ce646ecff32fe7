"""A ranking shared by items is that of one process."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from mmgraph.data import synthetic
from mmgraph.distributed.group import joined_processes
from mmgraph.distributed.world import world
from mmgraph.functional.block_sizes import BlockSize
from mmgraph.models import build_model
from mmgraph.schema import INTERACTS
from mmgraph.train.evaluation import rank_items
from mmgraph.train.sharding import item_shards
from mmgraph.train.sharding.column_tables import split_tables

K = 40


def rank():
    """Items of some users, more than a process has, and whether they are any."""
    train, *_ = synthetic(num_users=60, num_items=60, interactions_per_user=30)
    torch.manual_seed(0)
    model = build_model("LightGCN", train, embedding_dim=9)
    split_tables(model)
    users = torch.arange(59, -1, -3)
    ranked = list(rank_items(model, train, users, K))
    found = torch.cat([block for block, *_ in ranked])
    assert found.equal(users)
    item, score = (torch.cat([each[n] for each in ranked]) for n in (1, 2))
    user, seen = train[INTERACTS].edge_index
    pairs = set(zip(user.tolist(), seen.tolist(), strict=True))
    there = score > float("-inf")
    best = [
        [int(i) for i, t in zip(row, has, strict=True) if t]
        for row, has in zip(item, there, strict=True)
    ]
    for one, row in zip(users.tolist(), best, strict=True):
        assert not pairs & {(one, i) for i in row}
    return best, score.masked_fill(~there, -9).tolist()


def rank_and_keep(out):
    item_shards.RANKED_SCORES = BlockSize(100, 100)
    torch.set_num_threads(1)
    with joined_processes("cpu"):
        Path(f"{out}-{world().rank}").write_text(json.dumps(rank()))


def test_the_best_of_all_shares_are_the_best(launch, tmp_path):
    out = tmp_path / "ranked"
    outputs = launch(3, rank_and_keep, str(out)).outputs()
    assert [code for code, *_ in outputs] == [0] * 3, outputs
    items, scores = rank()
    for number in range(3):
        found, own = json.loads(Path(f"{out}-{number}").read_text())
        assert found == items
        torch.testing.assert_close(torch.tensor(own), torch.tensor(scores))
