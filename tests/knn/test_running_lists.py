from __future__ import annotations

import math

import torch

from mmgraph.knn.running_lists import RunningLists


def test_merging_in_any_order_is_sorting_once():
    generator = torch.Generator().manual_seed(0)
    centre = torch.randint(6, (200,), generator=generator)
    neighbour = torch.arange(200)
    similarity = torch.randint(5, (200,), generator=generator) / 4  # ties
    for seed in range(3):
        order = torch.randperm(200, generator=generator.manual_seed(seed))
        lists = RunningLists(6, 4, 200)
        for part in order.split(17):
            lists.merge(centre[part], neighbour[part], similarity[part])
        for place in range(6):
            mine = (centre == place).nonzero().flatten().tolist()
            want = sorted(mine, key=lambda n: (-float(similarity[n]), n))[:4]
            assert lists.neighbour[place].tolist() == want
            assert lists.similarity[place].tolist() == similarity[want].tolist()


def test_a_short_list_ends_with_nobody():
    lists = RunningLists(2, 3, 10)
    lists.merge(torch.tensor([1]), torch.tensor([4]), torch.tensor([0.5]))
    assert lists.neighbour.tolist() == [[10, 10, 10], [4, 10, 10]]
    assert lists.similarity[1].tolist() == [0.5, -math.inf, -math.inf]
    none = torch.zeros(0)
    lists.merge(none.long(), none.long(), none)
    assert lists.neighbour[1].tolist() == [4, 10, 10]


def test_the_bound_is_the_last_of_the_best_products_so_far():
    lists, seen = RunningLists(5, 3, 100), []
    for _ in range(6):
        product = torch.randn(5, 4).sort(1, descending=True).values
        seen.append(product)
        bound = lists.raise_bound(slice(1, 4), product[1:4])
        best = torch.cat(seen, 1)[1:4].sort(1, descending=True).values
        assert torch.equal(bound, best[:, 2])
    untouched = lists.raise_bound(slice(0, 1), torch.tensor([[0.5]]))
    assert untouched.tolist() == [-math.inf]
