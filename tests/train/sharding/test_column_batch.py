from __future__ import annotations

import torch

from mmgraph.distributed.world import World
from mmgraph.models.batch import Batch
from mmgraph.train.batches.batch_share import batch_share
from mmgraph.train.sharding import column_batch
from mmgraph.train.sharding.column_batch import ColumnBatch

USERS, ITEMS = torch.arange(12.0).view(4, 3), 100 + torch.arange(15.0).view(5, 3)
BATCH = Batch(torch.tensor([3, 0, 1]), torch.tensor([4, 0, 2]), torch.tensor([1, 3, 0]))


def test_rows_of_a_share_have_all_columns(monkeypatch):
    """This process has the first column; the others' come with those of its rows."""
    both = torch.cat([USERS, ITEMS])
    monkeypatch.setattr(
        column_batch,
        "join_columns",
        lambda part, dim: both[[(both[:, 0] == x).nonzero().item() for (x,) in part]],
    )
    share = batch_share(ColumnBatch(BATCH, 3), World(1, 2))
    user, pos, neg = share.rows(USERS[:, :1], ITEMS[:, :1])
    assert user.equal(USERS[[1]])
    assert pos.equal(ITEMS[[2]])
    assert neg.equal(ITEMS[[0]])
    rows = share.whole.rows(USERS[:, :1], ITEMS[:, :1])
    assert [len(each) for each in rows] == [3, 3, 3]
    assert rows[0].equal(USERS[BATCH.user])
    assert share.weight == 1 / 3
