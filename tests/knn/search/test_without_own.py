from __future__ import annotations

import torch

from mmgraph.knn.search.without_own import without_own


def test_equals_a_loop_over_the_lists():
    own = torch.arange(6).repeat(20)
    lists = torch.stack([torch.randperm(9)[:4] for _ in own])
    value = torch.rand(lists.shape)
    neighbour, similarity = without_own(own, lists, value)
    for row, (centre, ids) in enumerate(zip(own.tolist(), lists.tolist(), strict=True)):
        out = ids.index(centre) if centre in ids else len(ids) - 1
        kept = [place for place in range(4) if place != out]
        assert neighbour[row].tolist() == [ids[place] for place in kept]
        assert torch.equal(similarity[row], value[row, kept])


def test_a_list_of_one_becomes_empty():
    neighbour, similarity = without_own(
        torch.tensor([0, 1]), torch.tensor([[0], [5]]), torch.ones(2, 1)
    )
    assert neighbour.shape == similarity.shape == (2, 0)
