from __future__ import annotations

import torch

from mmgraph.knn.search.drop_self import drop_self


def test_equals_a_loop_over_the_lists():
    centre = torch.arange(6).repeat(20)
    lists = torch.stack([torch.randperm(9)[:4] for _ in centre])
    value = torch.rand(lists.shape)
    neighbour, similarity = drop_self(centre, lists, value)
    for row, (one, ids) in enumerate(zip(centre.tolist(), lists.tolist(), strict=True)):
        out = ids.index(one) if one in ids else len(ids) - 1
        kept = [place for place in range(4) if place != out]
        assert neighbour[row].tolist() == [ids[place] for place in kept]
        assert torch.equal(similarity[row], value[row, kept])


def test_a_list_of_one_becomes_empty():
    neighbour, similarity = drop_self(
        torch.tensor([0, 1]), torch.tensor([[0], [5]]), torch.ones(2, 1)
    )
    assert neighbour.shape == similarity.shape == (2, 0)
