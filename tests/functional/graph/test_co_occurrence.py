from __future__ import annotations

import sys

import pytest
import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import AddMetaPaths

from mmgraph.functional.graph.co_occurrence import co_occurrence


def slow(edge_index, num_users, top):
    items = [set() for _ in range(num_users)]
    for user, item in edge_index.T.tolist():
        items[user].add(item)
    edges, counts = [], []
    for user in range(num_users):
        ranked = [
            (-len(items[user] & items[other]), other)
            for other in range(num_users)
            if other != user and items[user] & items[other]
        ]
        for count, other in sorted(ranked)[:top]:
            edges.append((other, user))
            counts.append(-count)
    return torch.tensor(edges).T, torch.tensor(counts)


@pytest.mark.parametrize("top", [1, 3, None])
@pytest.mark.parametrize("products", [1, 100, 2**23])
def test_equals_set_intersections(monkeypatch, top, products):
    module = sys.modules["mmgraph.functional.graph.co_occurrence"]
    monkeypatch.setattr(module, "SPARSE_PRODUCTS", products)
    user = torch.randint(0, 30, (150,))  # with repeats, and users without items
    item = torch.randint(0, 12, (150,))
    edge_index = torch.stack([user, item])
    got = co_occurrence(edge_index, 33, 12, top=top)
    want = slow(edge_index, 33, top)
    assert torch.equal(got[0], want[0])
    assert torch.equal(got[1], want[1])


def test_counts_equal_the_metapaths_of_pyg():
    edge_index = torch.randint(0, 9, (2, 40)).unique(dim=1).contiguous()
    data = HeteroData()
    data["u"].num_nodes = data["i"].num_nodes = 9
    data["u", "to", "i"].edge_index = edge_index
    data["i", "to", "u"].edge_index = edge_index.flip(0).contiguous()
    path = [("u", "to", "i"), ("i", "to", "u")]
    data = AddMetaPaths([path], weighted=True)(data)
    store = data["u", "metapath_0", "u"]
    dense = torch.zeros(9, 9)
    dense[store.edge_index[1], store.edge_index[0]] = store.edge_weight
    dense.fill_diagonal_(0)
    (neighbour, centre), count = co_occurrence(edge_index, 9, 9)
    got = torch.zeros(9, 9)
    got[centre, neighbour] = count.float()
    assert torch.equal(got, dense)


def test_without_users_or_interactions_it_is_empty():
    for users in (0, 3):
        none = torch.empty(2, 0, dtype=torch.long)
        edge_index, count = co_occurrence(none, users, 4)
        assert edge_index.shape == (2, 0)
        assert count.shape == (0,)
        assert edge_index.dtype == count.dtype == torch.int64


def test_top_is_checked():
    with pytest.raises(ValueError, match=r"'top' must be at least 1 \(got 0\)"):
        co_occurrence(torch.zeros(2, 1, dtype=torch.long), 1, 1, top=0)
