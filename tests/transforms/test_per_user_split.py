from __future__ import annotations

import torch

from mmgraph.data import plant_catalogue
from mmgraph.schema import INTERACTS, ITEM
from mmgraph.transforms import PerUserSplit


def test_shares_follow_the_rule_for_every_user():
    data, _ = plant_catalogue(num_users=40, num_items=90, interactions_per_user=12)
    splits = PerUserSplit(seed=3)(data)
    total = torch.bincount(data[INTERACTS].edge_index[0], minlength=40)
    shares = [
        torch.bincount(s[INTERACTS].edge_label_index[0], minlength=40) for s in splits
    ]
    for n, train, val, test in zip(total, *shares, strict=True):
        n = int(n)
        held = 2 if n < 10 else int(0.2 * n)
        expected_val = 1 if n < 10 else held // 2
        assert (int(val), int(test)) == (expected_val, held - expected_val)
        assert int(train) == n - held


def test_features_are_shared_and_the_input_is_unchanged():
    data, _ = plant_catalogue(num_users=20, num_items=60)
    edges = data[INTERACTS].edge_index.clone()
    train, _, test = PerUserSplit()(data)
    assert train[ITEM].x_visual is test[ITEM].x_visual
    assert torch.equal(data[INTERACTS].edge_index, edges)


def test_repr():
    assert repr(PerUserSplit(seed=2)) == "PerUserSplit(seed=2)"
