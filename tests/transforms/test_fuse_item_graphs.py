from __future__ import annotations

import pytest
import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import Compose

from mmgraph.transforms import FuseItemGraphs, ItemKNNGraph


def catalogue():
    data = HeteroData()
    data["item"].num_nodes = 30
    for name in ("visual", "textual", "acoustic"):
        data["item"][f"x_{name}"] = torch.randn(30, 4)
    build = [ItemKNNGraph(n, 5) for n in ("visual", "textual", "acoustic")]
    return Compose(build)(data)


def dense(store):
    return torch.sparse_coo_tensor(
        store.edge_index, store.edge_weight, (30, 30)
    ).to_dense()


@pytest.mark.parametrize(
    "coefficients",
    [
        {"visual": 0.1, "textual": 0.9},
        {"visual": 0.2, "similar_textual": 0.3, "acoustic": 0.5},
        {"visual": 1.0},
    ],
)
def test_is_the_weighted_sum_of_the_matrices(coefficients):
    data = catalogue()
    store = FuseItemGraphs(coefficients)(data)["item", "similar", "item"]
    want = torch.zeros(30, 30)
    for name, coefficient in coefficients.items():
        relation = f"similar_{name.removeprefix('similar_')}"
        want += coefficient * dense(data["item", relation, "item"])
    torch.testing.assert_close(dense(store), want)
    neighbour, centre = store.edge_index
    order = list(zip(centre.tolist(), neighbour.tolist(), strict=True))
    assert order == sorted(set(order))


def test_two_modalities_weigh_as_in_freedom():
    store = FuseItemGraphs({"visual": 0.1, "textual": 0.9})(catalogue())["similar"]
    allowed = torch.tensor([0.02, 0.18, 0.2])  # visual only, textual only, both
    distance = (store.edge_weight[:, None] - allowed).abs().min(1).values
    assert distance.max() < 1e-7
    own = store.edge_index[0] == store.edge_index[1]
    torch.testing.assert_close(store.edge_weight[own], torch.full((30,), 0.2))


def test_input_is_left_as_it_was():
    data = catalogue()
    before = data["similar_visual"].edge_weight.clone()
    FuseItemGraphs({"visual": 0.5})(data)
    assert ("item", "similar", "item") not in data.edge_types
    assert torch.equal(data["similar_visual"].edge_weight, before)


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match="at least one coefficient"):
        FuseItemGraphs({})
    with pytest.raises(ValueError, match=r"no item graph 'audio' \(got \['similar_v"):
        FuseItemGraphs({"audio": 1.0})(catalogue())


def test_repr():
    assert repr(FuseItemGraphs({"a": 0.5})) == "FuseItemGraphs({'a': 0.5})"
