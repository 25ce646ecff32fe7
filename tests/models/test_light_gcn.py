from __future__ import annotations

import pytest
import torch
from torch_geometric.nn.models import LightGCN as Reference

from mmgraph.functional.recommend.neighbor_sampling import ALL, sample_neighbors
from mmgraph.models import build_model


def stacked(data):
    user, item = data["user", "interacts", "item"].edge_index
    item = item + data["user"].num_nodes
    return torch.stack([torch.cat([user, item]), torch.cat([item, user])])


@pytest.mark.parametrize("num_layers", [0, 1, 3])
def test_equals_the_model_of_pytorch_geometric(catalogue, num_layers):
    data = catalogue()
    model = build_model("LightGCN", data, embedding_dim=5, num_layers=num_layers)
    other = Reference(9 + 14, 5, num_layers)
    with torch.no_grad():
        other.embedding.weight.copy_(torch.cat([model.user.weight, model.item.weight]))
    z, expected = torch.cat(model.encode(data)), other.get_embedding(stacked(data))
    torch.testing.assert_close(z, expected, rtol=1e-12, atol=1e-14)
    upstream = torch.randn_like(z)
    z.backward(upstream)
    expected.backward(upstream)
    grad = torch.cat([model.user.weight.grad, model.item.weight.grad])
    torch.testing.assert_close(
        grad, other.embedding.weight.grad, rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("fidelity", ["paper", "released"])
def test_loss_and_gradients_equal_a_dense_reference(
    catalogue, batch, dense, agree, randomise, fidelity
):
    data = catalogue()
    model = build_model(
        "LightGCN",
        data,
        fidelity=fidelity,
        embedding_dim=5,
        num_layers=2,
        reg_weight=0.3,
    )
    user, item = randomise(model).user.weight, model.item.weight
    matrix = dense.user_item(data["user", "interacts", "item"].edge_index, 9, 14)
    layers = dense.layers(matrix, torch.cat([user, item]), 2)
    z = sum(layers) / 3
    # The penalty is on the batch's rows of layer 0, not on what was propagated.
    rows = user[batch.user], item[batch.pos_item], item[batch.neg_item]
    if fidelity == "paper":
        reg = sum((x**2).sum() for x in rows) / 2 / len(batch.user)
    else:
        reg = sum((x**2).sum() ** 0.5 for x in rows) / len(batch.user)
    expected = {"bpr": dense.bpr(z[:9], z[9:], batch), "reg": 0.3 * reg}
    agree(model, model.loss(data, batch), expected)


def test_nodes_without_edges_keep_their_share_of_layer_0(catalogue):
    data = catalogue()
    model = build_model("LightGCN", data, embedding_dim=5, num_layers=3)
    z_user, z_item = model.encode(data)
    torch.testing.assert_close(z_user[8], model.user.weight[8] / 4)
    torch.testing.assert_close(z_item[13], model.item.weight[13] / 4)


def test_tables_start_xavier_uniform_each_by_itself(catalogue):
    data = catalogue(num_items=2000)
    model = build_model("LightGCN", data)
    for table, rows in ((model.user.weight, 9), (model.item.weight, 2000)):
        bound = (6 / (rows + 64)) ** 0.5
        assert 0.98 * bound < table.abs().max().item() <= bound


@pytest.mark.parametrize("num_layers", [0, 1, 3])
def test_all_sampled_neighbours_give_the_loss_of_the_whole_graph(
    catalogue, batch, num_layers
):
    data = catalogue()
    model = build_model("LightGCN", data, embedding_dim=5, num_layers=num_layers)
    graph = sample_neighbors(
        model.user_item_graph(data), batch.nodes(9), [ALL] * model.sampled_layers()
    )
    gradients = []
    for terms in (model.sampled_loss(batch, graph), model.loss(data, batch)):
        loss = terms["bpr"] + 100 * terms["reg"]
        tables = model.user.weight, model.item.weight
        gradients.append((loss, *torch.autograd.grad(loss, tables)))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
