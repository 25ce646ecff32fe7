from __future__ import annotations

import torch

from mmgraph.models import Batch


def test_unpacks_into_users_positives_and_negatives():
    parts = torch.tensor([1]), torch.tensor([2]), torch.tensor([3])
    user, pos_item, neg_item = Batch(*parts)
    assert (user, pos_item, neg_item) == parts


def test_negatives_are_optional():
    assert Batch(torch.tensor([1]), torch.tensor([2])).neg_item is None
