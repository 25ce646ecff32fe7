from __future__ import annotations

import pytest
import torch
from torch_geometric.data import HeteroData

from mmgraph.functional.graph.prune import prune_edges
from mmgraph.transforms import PruneEdges


def interactions():
    data = HeteroData()
    data["user"].num_nodes, data["item"].num_nodes = 20, 15
    store = data["user", "interacts", "item"]
    store.edge_index = torch.randint(0, 15, (2, 100)).unique(dim=1)
    store.edge_label_index = store.edge_index
    store.time = torch.arange(store.edge_index.size(1))
    reverse = data["item", "rev_interacts", "user"]
    reverse.edge_index = store.edge_index.flip(0)
    reverse.time = store.time
    return data


@pytest.mark.parametrize("by", ["degree", "uniform"])
def test_edges_and_their_attributes_are_pruned_alike(by):
    data = interactions()
    before = data["interacts"].edge_index.clone()
    out = PruneEdges(0.6, by=by, generator=torch.Generator().manual_seed(3))(data)
    generator = torch.Generator().manual_seed(3)
    kept = prune_edges(before, 0.6, by=by, generator=generator)
    assert torch.equal(out["interacts"].edge_index, before[:, kept])
    assert torch.equal(out["interacts"].time, kept)
    assert torch.equal(out["rev_interacts"].edge_index, before[:, kept].flip(0))
    assert torch.equal(out["rev_interacts"].time, kept)
    assert torch.equal(out["interacts"].edge_label_index, before)
    assert torch.equal(data["interacts"].edge_index, before)  # input untouched
    assert torch.equal(data["rev_interacts"].edge_index, before.flip(0))


def test_an_attribute_of_the_reverse_edges_alone_is_refused():
    data = interactions()
    reverse = data["rev_interacts"]
    reverse.edge_weight = torch.ones(reverse.num_edges)
    with pytest.raises(ValueError, match=r"reverse edges alone.*\(got 'edge_weight'\)"):
        PruneEdges(0.5)(data)


def test_options_are_refused_before_there_are_data():
    with pytest.raises(ValueError, match=r"'ratio' must be in \[0, 1\] \(got 1.5\)"):
        PruneEdges(1.5)
    with pytest.raises(ValueError, match="'by' must be one of 'degree', 'uniform'"):
        PruneEdges(0.5, by="random")


def test_repr():
    assert repr(PruneEdges(0.8)) == "PruneEdges(0.8, by='degree')"
