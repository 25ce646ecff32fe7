from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from mmgraph.transforms import ItemKNNGraph

RELATION = ("item", "similar_visual", "item")


def catalogue(x, mask=None):
    data = HeteroData()
    data["item"].num_nodes = len(x)
    data["item"].x_visual = x
    if mask is not None:
        data["item"].mask_visual = mask
    return data


def dense(store, value, n):
    """Matrix [centre, neighbour] of an edge attribute."""
    matrix = torch.zeros(n, n, dtype=torch.float64)
    matrix[store.edge_index[1], store.edge_index[0]] = store[value].double()
    return matrix


def reference(x, k, weight, norm):
    """The dense formula: top-k of the cosine matrix, then D^-1/2 W D^-1/2."""
    unit = x.double().numpy() / np.linalg.norm(x.double().numpy(), axis=1)[:, None]
    similarity = unit @ unit.T
    kept = np.zeros_like(similarity)
    for i, row in enumerate(similarity):
        best = np.argsort(-row, kind="stable")[:k]
        kept[i, best] = row[best] if weight == "similarity" else 1
    if norm is None:
        return torch.from_numpy(kept)
    rows = kept.sum(1)
    columns = rows if norm == "row" else kept.sum(0)

    def root(total):
        return np.where(total > 0, 1 / np.sqrt(np.where(total > 0, total, 1)), 0)

    return torch.from_numpy(root(rows)[:, None] * kept * root(columns))


@pytest.mark.parametrize("weight", ["binary", "similarity"])
@pytest.mark.parametrize("norm", ["row", "sym", None])
def test_weights_equal_the_dense_formula(weight, norm):
    x = torch.randn(40, 6) + 0.5  # some kept similarities are small, none is tied
    store = ItemKNNGraph("visual", 5, weight=weight, norm=norm)(catalogue(x))[RELATION]
    want = reference(x, 5, weight, norm)
    torch.testing.assert_close(
        dense(store, "edge_weight", 40), want, atol=1e-6, rtol=1e-6
    )
    similar = reference(x, 5, "similarity", None)
    torch.testing.assert_close(
        dense(store, "edge_sim", 40), similar, atol=1e-6, rtol=1e-6
    )


def test_binary_row_norm_is_exactly_one_over_k():
    store = ItemKNNGraph("visual", 10)(catalogue(torch.randn(50, 4)))[RELATION]
    assert (store.edge_weight == 1 / torch.tensor(10.0)).all()
    assert store.k == 10


def test_row_norm_is_gcn_norm_of_neighbour_to_centre_edges():
    x = torch.rand(30, 4)
    transform = ItemKNNGraph("visual", 4, weight="similarity")
    store = transform(catalogue(x))[RELATION]
    _, want = gcn_norm(store.edge_index, store.edge_sim, 30, add_self_loops=False)
    torch.testing.assert_close(store.edge_weight, want)


def test_a_row_sum_that_is_not_positive_gives_zero_not_nan():
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.1], [-1.0, -0.1], [-1.0, 0.0]])
    transform = ItemKNNGraph(
        "visual", 3, weight="similarity", include_self=False, norm="row"
    )
    store = transform(catalogue(x))[RELATION]
    weight = dense(store, "edge_weight", 4)
    assert (weight[0] == 0).all()
    assert (weight[:, 0] == 0).all()
    sums = dense(store, "edge_sim", 4).sum(1)
    want = dense(store, "edge_sim", 4)[1, 2] / (sums[1] * sums[2]).sqrt()
    torch.testing.assert_close(weight[1, 2], want, rtol=1e-6, atol=0)


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_missing_items_keep_one_edge_to_themselves(metric):
    x = torch.randn(20, 3)
    x[3] = 0  # a zero row
    x[7] = float("nan")  # a missing row may hold anything
    mask = torch.ones(20, dtype=torch.bool)
    mask[7] = mask[11] = False
    isolated = torch.tensor([3, 7, 11])
    store = ItemKNNGraph("visual", 4, metric=metric)(catalogue(x, mask))[RELATION]
    neighbour, centre = store.edge_index
    touched = torch.isin(neighbour, isolated) | torch.isin(centre, isolated)
    assert store.edge_index[:, touched].tolist() == [[3, 7, 11], [3, 7, 11]]
    assert store.edge_weight[touched].tolist() == [1, 1, 1]
    assert (centre.diff() >= 0).all()
    without = ItemKNNGraph("visual", 4, metric=metric, include_self=False)
    edges = without(catalogue(x, mask))[RELATION].edge_index
    assert not torch.isin(edges, isolated).any()
    assert (edges[0] != edges[1]).all()
    assert edges.size(1) == 17 * 4


def test_input_is_left_as_it_was():
    data = catalogue(torch.randn(5, 2), torch.tensor([True, False, True, True, True]))
    before = data["item"].x_visual.clone()
    ItemKNNGraph("visual", 2)(data)
    assert data.edge_types == []
    assert torch.equal(data["item"].x_visual, before)


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match=r"no modality 'text' \(got \['visual'\]\)"):
        ItemKNNGraph("text", 2)(catalogue(torch.ones(2, 2)))
    with pytest.raises(
        ValueError, match=r"'weight' must be one of .* \(got 'cosine'\)"
    ):
        ItemKNNGraph("visual", 2, weight="cosine")
    with pytest.raises(ValueError, match=r"'norm' must be one of .* \(got 'left'\)"):
        ItemKNNGraph("visual", 2, norm="left")
    with pytest.raises(ValueError, match=r"'metric' must be one of .* \(got 'dot'\)"):
        ItemKNNGraph("visual", 2, metric="dot")
    with pytest.raises(ValueError, match=r"'k' must be at least 1 \(got 0\)"):
        ItemKNNGraph("visual", 0)
    broken = torch.ones(4, 2)
    broken[2] = float("nan")
    mask = torch.tensor([False, True, True, True])
    with pytest.raises(ValueError, match="row 2 holds NaN"):
        ItemKNNGraph("visual", 2)(catalogue(broken, mask))


def test_repr():
    assert repr(ItemKNNGraph("visual", 10)) == "ItemKNNGraph('visual', k=10)"
