from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import HeteroData
from torch_geometric.transforms import ToUndirected

from mmgraph.schema import (
    CO_INTERACTS,
    INTERACTS,
    ITEM,
    REV_INTERACTS,
    SIMILAR,
    USER,
    feature_key,
    mask_key,
    modalities,
    similar_edge_type,
)


def test_names_are_those_that_others_script_against():
    assert (USER, ITEM) == ("user", "item")
    assert INTERACTS == ("user", "interacts", "item")
    assert SIMILAR == ("item", "similar", "item")
    assert CO_INTERACTS == ("user", "co_interacts", "user")
    assert feature_key("visual") == "x_visual"
    assert mask_key("visual") == "mask_visual"
    assert similar_edge_type("visual") == ("item", "similar_visual", "item")


def test_the_reverse_edges_are_spelt_as_to_undirected_spells_them():
    data = HeteroData()
    data[USER].num_nodes, data[ITEM].num_nodes = 2, 3
    data[INTERACTS].edge_index = torch.tensor([[0, 1], [2, 0]])
    data = ToUndirected()(data)
    assert data.edge_types == [INTERACTS, REV_INTERACTS]


@given(
    st.lists(
        st.text("abc_x", min_size=1) | st.sampled_from(["visual", "textual"]),
        unique=True,
    )
)
def test_modalities_come_in_one_order_whoever_added_them_when(names):
    data = HeteroData()
    data[ITEM].num_nodes = 2
    for name in names:
        data[ITEM][mask_key(name)] = torch.ones(2, dtype=torch.bool)
        data[ITEM][feature_key(name)] = torch.zeros(2, 1)
    first = [name for name in ("visual", "textual") if name in names]
    others = sorted(name for name in names if name not in first)
    assert modalities(data) == first + others


def test_data_without_items_or_features_have_no_modalities():
    data = HeteroData()
    data[USER].x_visual = torch.zeros(2, 1)
    assert modalities(data) == []
    data[ITEM].num_nodes = 3
    assert modalities(data) == []


def test_asking_for_modalities_does_not_add_a_node_type():
    data = HeteroData()
    modalities(data)
    assert data.node_types == []
