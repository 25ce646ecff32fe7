from __future__ import annotations

import pytest
import torch

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.recommend.popular_lists import by_popularity, popular_lists


@pytest.mark.parametrize("candidates", [None, [0, 2, 3, 7, 8]])
@pytest.mark.parametrize("k", [1, 4, 20])
def test_lists_are_those_of_a_loop(candidates, k):
    degree = torch.tensor([3, 0, 3, 9, 1, 0, 2, 3, 1])
    history = [{3, 0}, set(), set(range(9)), {8}]
    pairs = torch.tensor([[u, i] for u, items in enumerate(history) for i in items]).t()
    seen = Adjacency.bipartite(pairs, len(history), len(degree))
    among = None if candidates is None else torch.tensor(candidates)
    order = by_popularity(degree, among)
    items, count = popular_lists(degree, order, k, seen)
    for user, own in enumerate(history):
        free = [i for i in candidates or range(9) if i not in own]
        expected = sorted(free, key=lambda i: -int(degree[i]))[:k]
        known = count[user] > float("-inf")
        assert items[user][known].tolist() == expected
        assert count[user][known].tolist() == degree[expected].tolist()


def test_nobody_gets_no_list():
    degree = torch.tensor([1, 2])
    nobody = Adjacency.bipartite(torch.zeros(2, 0, dtype=torch.long), 0, 2)
    items, count = popular_lists(degree, by_popularity(degree), 2, nobody)
    assert items.shape == count.shape == (0, 2)
