from __future__ import annotations

import copy

import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.functional import Adjacency
from mmgraph.models import available_models, build_model
from mmgraph.models.base import Recommender

INTERACTS = ("user", "interacts", "item")
SIMILAR = ("item", "similar", "item")
WIDTHS = {"visual": 6, "textual": 4}
GRAPH_MODELS = ["FREEDOM", "MENTOR", "CLEAR", "SEA"]


def snapshot(data):
    """Every attribute of every store: name, identity and version of its value."""
    return {
        (str(store._key), key): (id(value), getattr(value, "_version", None))
        for store in data.stores
        for key, value in store.items()
    }


def as_dense(adj):
    matrix = torch.zeros(adj.num_dst, adj.num_src)
    source, target = adj.edge_index()
    return matrix.index_put_((target, source), adj.weight, accumulate=True)


def small(name, data):
    rank = {"rank": 2} if name == "CLEAR" else {}
    return build_model(name, data, embedding_dim=5, k=3, **rank)


# Graphs derived from the data ----------------------------------------------------


def test_user_item_graph_is_the_normalised_stacked_matrix(catalogue, dense):
    edge_index = catalogue()[INTERACTS].edge_index
    adj = Adjacency.user_item(edge_index, 9, 14)
    expected = dense.user_item(edge_index, 9, 14)
    torch.testing.assert_close(as_dense(adj), expected, rtol=1e-12, atol=0)
    assert adj.t() is adj


def test_the_same_edges_are_normalised_once(catalogue):
    data = catalogue()
    model = build_model("LightGCN", data)
    other = copy.copy(data)  # as the splits share their storage
    assert model.user_item_graph(data) is model.user_item_graph(other)


def test_other_edges_and_edges_changed_in_place_are_normalised_anew(catalogue, dense):
    data = catalogue()
    model = build_model("LightGCN", data)
    first = model.user_item_graph(data)
    data[INTERACTS].edge_index = data[INTERACTS].edge_index[:, :30]
    second = model.user_item_graph(data)
    data[INTERACTS].edge_index[1, 0] = 13
    third = model.user_item_graph(data)
    assert len({id(adj) for adj in (first, second, third)}) == 3
    expected = dense.user_item(data[INTERACTS].edge_index, 9, 14)
    torch.testing.assert_close(as_dense(third), expected, rtol=1e-12, atol=0)


def test_an_item_graph_follows_its_edges_and_its_weights(catalogue):
    data = catalogue()
    data[SIMILAR].edge_index = torch.tensor([[0, 1], [2, 2]])
    data[SIMILAR].edge_weight = torch.tensor([0.25, 0.75])
    model = small("FREEDOM", data)
    assert model.item_graph(data) is model.item_graph(data)
    assert as_dense(model.item_graph(data))[2, 1] == 0.75
    data[SIMILAR].edge_weight.mul_(2)
    assert as_dense(model.item_graph(data))[2, 1] == 1.5
    data[SIMILAR].edge_index = torch.tensor([[0, 3], [2, 2]])
    assert as_dense(model.item_graph(data))[2].tolist()[:4] == [0.5, 0, 0, 1.5]
    del data[SIMILAR].edge_weight
    assert as_dense(model.item_graph(data))[2, 3] == 1


def test_derived_values_are_built_once_per_state_of_their_tensors():
    model, calls = Recommender(2, 3), []

    def derive(*tensors):
        return model.cached("key", tensors, lambda: calls.append(1) or len(calls))

    a, b = torch.zeros(2), torch.zeros(2)
    assert [derive(a, b), derive(a, b)] == [1, 1]
    assert derive(b, a) == 2
    a.add_(1)
    assert [derive(b, a), derive(b, a)] == [3, 3]
    assert derive(b) == 4
    assert derive(b.clone()) == 5


# prepare --------------------------------------------------------------------------


@pytest.mark.parametrize("name", available_models())
def test_prepare_never_changes_its_input(catalogue, name):
    data = catalogue(WIDTHS)
    model = build_model(name, data)
    before, edge_types = snapshot(data), list(data.edge_types)
    prepared = model.add_graphs(data)
    assert snapshot(data) == before
    assert data.edge_types == edge_types
    assert (SIMILAR in prepared.edge_types) == (name in GRAPH_MODELS)
    after = snapshot(prepared)
    assert {key: after[key] for key in before} == before  # shared, not copied


@pytest.mark.parametrize("name", GRAPH_MODELS)
def test_prepare_builds_a_graph_once_for_all_splits(catalogue, name, monkeypatch):
    data = catalogue(WIDTHS)
    model, calls = small(name, data), []
    transform = model.graph_transform
    monkeypatch.setattr(
        model, "graph_transform", lambda d: calls.append(1) or transform(d)
    )
    splits = [data, copy.copy(data), copy.copy(data)]
    edges = {id(model.add_graphs(split)[SIMILAR].edge_index) for split in splits}
    assert (len(calls), len(edges)) == (1, 1)
    model.add_graphs(model.add_graphs(data))
    assert len(calls) == 1
    data["item"].x_visual.mul_(-1)
    model.add_graphs(data)
    data["item"].x_visual = torch.randn(14, 6)
    model.add_graphs(data)
    assert len(calls) == 3


@pytest.mark.parametrize("name", GRAPH_MODELS)
def test_prepare_keeps_the_graphs_that_the_data_have(catalogue, name):
    data = catalogue(WIDTHS)
    data[SIMILAR].edge_index = torch.tensor([[0], [1]])
    model = small(name, data)
    assert model.add_graphs(data)[SIMILAR].edge_index is data[SIMILAR].edge_index


def test_prepare_builds_anew_when_an_item_loses_its_feature(catalogue):
    """The mask decides who is in the graph: a cached one must not outlive it."""
    data = catalogue(WIDTHS)
    data["item"].mask_visual = torch.ones(14, dtype=torch.bool)
    model = build_model("FREEDOM", data, k=3, visual_weight=1.0)
    model.add_graphs(data)
    data["item"].mask_visual[4] = False
    graph = model.add_graphs(data)[SIMILAR]
    neighbour, centre = graph.edge_index[:, graph.edge_weight > 0]
    assert neighbour[centre == 4].tolist() == [4]


def test_a_graph_that_others_are_fused_to_takes_their_place(catalogue):
    """Those of the modalities would stay in memory, and nothing reads them."""
    data = catalogue(WIDTHS)
    added = {*build_model("FREEDOM", data, k=3).add_graphs(data).edge_types}
    assert added - {*data.edge_types} == {SIMILAR}


@pytest.mark.parametrize("name", GRAPH_MODELS)
def test_a_missing_item_graph_says_what_to_do(catalogue, name):
    data = catalogue(WIDTHS)
    with pytest.raises(UserError, match=r"no .*similar.* edges - pass them through"):
        small(name, data).encode(data)


@pytest.mark.parametrize("name", GRAPH_MODELS)
def test_graphs_are_those_of_the_features_as_given_also_of_a_view(catalogue, name):
    data = catalogue(WIDTHS)
    data["item"].x_visual[:3] = data["item"].x_textual[:3] = 0.0
    expected = small(name, data).add_graphs(data)[SIMILAR]
    rank = {"rank": 2} if name == "CLEAR" else {}
    options = {"embedding_dim": 5, "k": 3, "train_features": True} | rank
    model = build_model(name, data, **options)
    with torch.no_grad():
        for own in model.own_features.values():
            own.add_(torch.randn_like(own))
    found = model.add_graphs(model.feature_view(data))[SIMILAR]
    assert torch.equal(found.edge_index, expected.edge_index)
    assert torch.equal(found.edge_weight, expected.edge_weight)
