from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.analysis.knn import build_graphs, join_blocks
from mmgraph.data import GraphFile, load_dataset, read_graph, write_graph
from mmgraph.errors import UserError
from mmgraph.knn import build_blocks, knn_graph
from mmgraph.models import build_model
from mmgraph.schema import ITEM, similar_edge_type
from mmgraph.transforms import AddItemGraphs, ItemKNNGraph


@pytest.fixture
def train():
    return load_dataset("synthetic")[0]


def test_a_joined_folder_is_the_graph_that_is_built_in_memory(tmp_path, train):
    """A model of an item graph takes it from the folder, which stays on disk."""
    x = train[ITEM].x_visual
    work = build_blocks(x, 5, tmp_path / "work", block_rows=100, include_self=True)
    join_blocks([work.path], tmp_path / "visual")
    data = AddItemGraphs(tmp_path / "visual")(train)
    assert similar_edge_type("visual") not in train.edge_types
    got = data[similar_edge_type("visual")]
    options = {"include_self": True, "weight": "similarity", "norm": None}
    data_want = ItemKNNGraph("visual", 5, **options)(train)
    want = data_want[similar_edge_type("visual")]
    linked = want.edge_index[1].bincount(minlength=600) == 5  # others: to themselves
    assert torch.equal(got.edge_index, want.edge_index[:, linked[want.edge_index[1]]])
    assert got.k == 5
    model = build_model("LATTICE", data, embedding_dim=8)
    prepared = model.add_graphs(AddItemGraphs(_textual(tmp_path, train))(data))
    assert prepared[similar_edge_type("visual")].edge_index is got.edge_index
    z_user, z_item = model.encode(prepared)
    assert z_user.isfinite().all()
    assert z_item.isfinite().all()


def _textual(folder, train):
    np.save(folder / "textual.npy", train[ITEM].x_textual.numpy())
    file, _ = build_graphs({"textual": folder / "textual.npy"}, k=5)
    write_graph(folder / "textual.pt", file)
    return folder / "textual.pt"


def test_ids_say_which_item_a_row_is(tmp_path, train):
    """The file's rows are other items in another order than those of the data."""
    ids = train[ITEM].raw_id
    order = np.random.default_rng(0).permutation(600)[:400]
    x = train[ITEM].x_visual.numpy()
    np.savez(tmp_path / "visual.npz", features=x[order], ids=ids[order].astype(str))
    file, _ = build_graphs({"visual": tmp_path / "visual.npz"}, k=4)
    store = AddItemGraphs(file)(train)[similar_edge_type("visual")]
    chosen = np.sort(order)
    (neighbour, centre), similarity = knn_graph(x[chosen], 4)
    want = {
        (int(chosen[n]), int(chosen[c])): float(s)
        for n, c, s in zip(neighbour, centre, similarity, strict=True)
    }
    pairs = map(tuple, store.edge_index.T.tolist())
    assert dict(zip(pairs, store.edge_sim.tolist(), strict=True)) == want
    assert (store.edge_index[1].diff() >= 0).all()


def test_graphs_of_other_items_are_refused(tmp_path, train):
    with pytest.raises(UserError, match="the graph has 9 items, the data 600 - give"):
        AddItemGraphs(GraphFile(9, None, {}))(train)
    with pytest.raises(UserError, match="unknown item id 'nobody' - use an id of the"):
        AddItemGraphs(GraphFile(1, ["nobody"], {}))(train)
    with pytest.raises(UserError, match=r"no\.pt: no such file"):
        AddItemGraphs(tmp_path / "no.pt")
    assert repr(AddItemGraphs(GraphFile(1, None, {"a": None}))) == "AddItemGraphs(a)"
    assert read_graph(_textual(tmp_path, train)).num_items == 600
