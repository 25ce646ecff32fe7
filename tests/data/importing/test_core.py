from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch

from mmgraph.data import from_interactions, k_core
from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS


def catalogue(seed):
    rng = np.random.default_rng(seed)
    pairs = np.unique(rng.integers(0, (40, 30), (150, 2)), axis=0)
    return from_interactions(
        [f"u{user}" for user in pairs[:, 0]],
        pairs[:, 1],
        features={"visual": np.arange(31.0)[:, None]},  # item 30 has no interaction
        masks={"visual": np.arange(31) % 3 > 0},
        labels=rng.integers(0, 3, len(pairs)),
        timestamps=pairs[:, 0] * 100 + pairs[:, 1],
    )


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_the_core_is_that_of_networkx(seed, k):
    data = catalogue(seed)
    user, item = data[INTERACTS].edge_index.numpy()
    ids = data["user"].raw_id, data["item"].raw_id
    pairs = list(zip(ids[0][user].tolist(), ids[1][item].tolist(), strict=True))
    expected = nx.k_core(nx.Graph(pairs), k)
    core = k_core(data, k)
    user, item = core[INTERACTS].edge_index.numpy()
    users, items = core["user"].raw_id, core["item"].raw_id
    got = set(zip(users[user].tolist(), items[item].tolist(), strict=True))
    assert got == {(u, i) if isinstance(u, str) else (i, u) for u, i in expected.edges}
    assert {*users.tolist(), *items.tolist()} == set(expected.nodes)


def test_all_that_belongs_to_who_stays_stays():
    data, core = catalogue(0), k_core(catalogue(0), 3)
    items = core["item"].raw_id
    assert torch.equal(
        core["item"].x_visual[:, 0], torch.tensor(items.tolist()).float()
    )
    assert core["item"].mask_visual.tolist() == [item % 3 > 0 for item in items]
    user, item = core[INTERACTS].edge_index
    numbers = [int(each[1:]) for each in core["user"].raw_id[user.numpy()]]
    time = torch.tensor(numbers) * 100 + torch.tensor(items[item.numpy()])
    assert torch.equal(core[INTERACTS].time, time)
    old = data[INTERACTS]
    labels = dict(zip(old.time.tolist(), old.split_label.tolist(), strict=True))
    assert core[INTERACTS].split_label.tolist() == [labels[t] for t in time.tolist()]
    mirror = core["item", "rev_interacts", "user"].edge_index
    assert torch.equal(mirror.flip(0), core[INTERACTS].edge_index)
    core.validate()


def test_a_core_of_nobody_is_refused():
    with pytest.raises(UserError, match="no user and no item has 9 interactions among"):
        k_core(catalogue(0), 9)
