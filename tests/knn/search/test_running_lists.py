from __future__ import annotations

import math

import pytest
import torch

from mmgraph.knn import knn_graph
from mmgraph.knn.search.running_lists import NOBODY, RunningLists


def test_merging_in_any_order_is_sorting_once():
    generator = torch.Generator().manual_seed(0)
    centre = torch.randint(6, (200,), generator=generator)
    neighbour = torch.arange(200)
    similarity = torch.randint(5, (200,), generator=generator) / 4  # ties
    for seed in range(3):
        order = torch.randperm(200, generator=generator.manual_seed(seed))
        lists = RunningLists(6, 4)
        for part in order.split(17):
            lists.merge(centre[part], neighbour[part], similarity[part])
        for place in range(6):
            mine = (centre == place).nonzero().flatten().tolist()
            want = sorted(mine, key=lambda n: (-float(similarity[n]), n))[:4]
            assert lists.neighbour[place].tolist() == want
            assert lists.similarity[place].tolist() == similarity[want].tolist()


def test_a_short_list_ends_with_nobody():
    lists = RunningLists(2, 3)
    lists.merge(torch.tensor([1]), torch.tensor([4]), torch.tensor([0.5]))
    assert lists.neighbour.tolist() == [[NOBODY] * 3, [4, NOBODY, NOBODY]]
    assert lists.similarity[1].tolist() == [0.5, -math.inf, -math.inf]
    none = torch.zeros(0)
    lists.merge(none.long(), none.long(), none)
    assert lists.neighbour[1].tolist() == [4, NOBODY, NOBODY]


def test_the_bound_is_the_last_of_the_best_products_so_far():
    lists, seen = RunningLists(5, 3), []
    for _ in range(6):
        product = torch.randn(5, 4).sort(1, descending=True).values
        seen.append(product)
        bound = lists.raise_bound(slice(1, 4), product[1:4])
        best = torch.cat(seen, 1)[1:4].sort(1, descending=True).values
        assert torch.equal(bound, best[:, 2])
    untouched = lists.raise_bound(slice(0, 1), torch.tensor([[0.5]]))
    assert untouched.tolist() == [-math.inf]


def streamed(unit, centres, k, size):
    lists = RunningLists(len(centres), k)
    for first in range(0, len(unit), size):
        block = unit[first : first + size]
        similarity = unit[centres] @ block.T
        own = centres - first
        inside = (own >= 0) & (own < len(block))
        similarity[inside, own[inside]] = -torch.inf
        lists.merge_block(similarity, first)
    return lists


@pytest.mark.parametrize("size", [1, 9, 50, 200])
def test_blocks_of_any_size_give_the_lists_of_the_graph(size):
    x = torch.randn(200, 6, dtype=torch.float64)
    x[30:40] = x[5]  # ties, across blocks
    edge_index, similarity = knn_graph(x, 7)
    centres = torch.randperm(200)[:60]
    lists = streamed(x / x.norm(dim=1, keepdim=True), centres, 7, size)
    assert torch.equal(lists.neighbour, edge_index[0].view(200, 7)[centres])
    assert torch.equal(lists.similarity, similarity.view(200, 7)[centres])


def test_ties_at_the_end_go_to_the_smaller_id():
    lists = RunningLists(1, 2)
    for first in range(0, 12, 3):
        lists.merge_block(torch.ones(1, 3), first)
    assert lists.neighbour.tolist() == [[0, 1]]


def test_rows_left_out_are_in_no_list():
    lists = RunningLists(2, 2)
    low = -torch.inf
    lists.merge_block(torch.tensor([[low, low, 0.1], [0.3, low, low]]), 0)
    lists.merge_block(torch.tensor([[0.2, low, low], [low, low, 0.1]]), 3)
    assert lists.neighbour.tolist() == [[3, 2], [0, 5]]


def test_runs_on_the_device(device):
    similarity = torch.rand(5, 40)
    lists = RunningLists(5, 3, device=device)
    lists.merge_block(similarity.to(device), 0)
    assert lists.neighbour.cpu().tolist() == similarity.topk(3).indices.tolist()
