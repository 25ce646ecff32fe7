from __future__ import annotations

import pytest
import torch
from torch_geometric.data import HeteroData

from mmgraph.transforms import UserCoOccurrence


def test_counts_training_items_in_common():
    data = HeteroData()
    data["user"].num_nodes, data["item"].num_nodes = 4, 3
    store = data["user", "interacts", "item"]
    store.edge_index = torch.tensor([[0, 0, 1, 1, 2], [0, 1, 0, 1, 1]])
    store.edge_label_index = torch.tensor([[3], [1]])  # held out: must not count
    out = UserCoOccurrence(top=1)(data)["user", "co_interacts", "user"]
    assert out.edge_index.tolist() == [[1, 0, 0], [0, 1, 2]]
    assert out.edge_count.tolist() == [2, 2, 1]
    assert len(data.edge_types) == 1  # the input has no new graph


def test_top_is_checked():
    with pytest.raises(ValueError, match=r"'top' must be at least 1 \(got 0\)"):
        UserCoOccurrence(top=0)


def test_repr():
    assert repr(UserCoOccurrence()) == "UserCoOccurrence(top=200)"
