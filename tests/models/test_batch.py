from __future__ import annotations

import torch

from mmgraph.models import Batch


def test_unpacks_into_users_positives_and_negatives():
    parts = torch.tensor([1]), torch.tensor([2]), torch.tensor([3])
    user, pos_item, neg_item = Batch(*parts)
    assert (user, pos_item, neg_item) == parts


def test_negatives_are_optional():
    assert Batch(torch.tensor([1]), torch.tensor([2])).neg_item is None


def test_items_are_distinct_and_lead_back_to_every_triple():
    pos, neg = torch.randint(20, (50,)), torch.randint(20, (50,))
    items, pos_place, neg_place = Batch(pos, pos, neg).distinct_items()
    assert items.tolist() == sorted({*pos.tolist(), *neg.tolist()})
    for place, wanted in ((pos_place, pos), (neg_place, neg)):
        assert [items.tolist()[p] for p in place.tolist()] == wanted.tolist()


def test_rows_and_their_gradients_are_those_of_three_look_ups():
    index = [torch.randint(6, (11,)) for _ in range(3)]
    user, item = (
        torch.randn(6, 3, dtype=torch.float64, requires_grad=True) for _ in range(2)
    )
    rows = Batch(*index).rows(user, item)
    expected = user[index[0]], item[index[1]], item[index[2]]
    assert all(map(torch.equal, rows, expected))
    upstream = [torch.randn_like(part) for part in rows]
    mine = torch.autograd.grad(rows, (user, item), upstream)
    other = torch.autograd.grad(expected, (user, item), upstream)
    for a, b in zip(mine, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_distinct_positives_are_looked_for_where_nothing_waits():
    pos_item = torch.tensor([7, 3, 7])
    items, place = Batch(torch.arange(3), pos_item).distinct_positives()
    assert items.tolist() == [3, 7]
    assert torch.equal(items[place], pos_item)
    elsewhere = pos_item.to("meta")
    items, place = Batch(elsewhere, elsewhere).distinct_positives()
    assert items is elsewhere
    assert place.shape == (3,)
    assert place.device.type == "meta"
