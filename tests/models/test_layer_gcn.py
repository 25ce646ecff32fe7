from __future__ import annotations

import math

import pytest
import torch

from mmgraph.functional.graph.prune import prune_edges
from mmgraph.models import build_model

INTERACTS = ("user", "interacts", "item")


def make(data, **options):
    options = {"embedding_dim": 5, "reg_weight": 0.3, "edge_drop": 0.5} | options
    return build_model("LayerGCN", data, **options)


def kept_pairs(model):
    """Users and items of the edges that survived this epoch's pruning."""
    source, target = model.pruned_graph.edge_index()
    to_item = target >= 9
    return torch.stack([source[to_item], target[to_item] - 9])


def reference(model, dense, edge_index):
    """All layers, one node at a time; a node without neighbours stays at zero."""
    x_0 = torch.cat([model.user.weight, model.item.weight])
    matrix = dense.user_item(edge_index, 9, 14)
    layers = [x_0]
    for _ in range(model.num_layers):
        rows = []
        for node, y in enumerate(matrix @ layers[-1]):
            lengths = (y @ y) * (x_0[node] @ x_0[node])
            connected = bool(matrix[node].any())
            cosine = (y @ x_0[node]) / lengths.sqrt() if connected else 0.0
            rows.append(cosine * y)
        layers.append(torch.stack(rows))
    z = sum(layers[1:])
    return z[:9], z[9:]


def bpr_sum(z_user, z_item, batch):
    total = 0.0
    for u, i, j in zip(*(part.tolist() for part in batch), strict=True):
        margin = z_user[u] @ z_item[i] - z_user[u] @ z_item[j]
        total = total + torch.log(1 + torch.exp(-margin))
    return total


@pytest.mark.parametrize("num_layers", [1, 4])
@pytest.mark.parametrize("edge_drop", [0.0, 0.5])
def test_loss_and_gradients_equal_a_dense_reference(
    catalogue, batch, dense, agree, randomise, first_epoch, edge_drop, num_layers
):
    data = catalogue()
    model = randomise(make(data, edge_drop=edge_drop, num_layers=num_layers))
    data = first_epoch(model, data)
    edges = kept_pairs(model) if edge_drop else data[INTERACTS].edge_index
    z_user, z_item = reference(model, dense, edges)
    user, item = model.user.weight, model.item.weight
    rows = user[batch.user], item[batch.pos_item], item[batch.neg_item]
    expected = {
        "bpr": bpr_sum(z_user, z_item, batch),
        "reg": 0.3 * sum((x**2).sum() for x in rows) / 2,
    }
    agree(model, model.loss(data, batch), expected)


def test_evaluation_uses_every_edge(catalogue, dense, randomise, first_epoch):
    data = catalogue()
    model = randomise(make(data))
    data = first_epoch(model, data)
    model.eval()
    expected = reference(model, dense, data[INTERACTS].edge_index)
    for mine, other in zip(model.encode(data), expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("edge_drop", [0.1, 0.2, 0.75])
def test_floor_of_the_share_survives_and_is_normalised_anew(
    catalogue, dense, first_epoch, edge_drop
):
    data = catalogue()
    model = make(data, edge_drop=edge_drop)
    first_epoch(model, data)
    kept = kept_pairs(model)
    everything = set(map(tuple, data[INTERACTS].edge_index.T.tolist()))
    survivors = set(map(tuple, kept.T.tolist()))
    assert survivors <= everything
    assert len(survivors) == kept.size(1) == math.floor(40 * (1 - edge_drop) + 1e-9)
    matrix = torch.zeros(23, 23)
    source, target = model.pruned_graph.edge_index()
    matrix[target, source] = model.pruned_graph.weight
    torch.testing.assert_close(matrix, dense.user_item(kept, 9, 14), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("edge_drop_by", "odd", "even"),
    [
        ("mixed", "degree", "uniform"),
        ("degree", "degree", "degree"),
        ("uniform", "uniform", "uniform"),
    ],
)
def test_epochs_prune_by_degree_and_uniformly_in_turn(
    catalogue, first_epoch, edge_drop_by, odd, even
):
    data = catalogue()
    model = make(data, edge_drop_by=edge_drop_by)
    edge_index = data[INTERACTS].edge_index
    told_apart = set()
    for epoch in range(1, 21):
        first_epoch(model, data, epoch=epoch, seed=epoch)
        drawn = {}
        for by in ("degree", "uniform"):
            generator = torch.Generator().manual_seed(epoch)
            kept = prune_edges(edge_index, 0.5, by=by, generator=generator)
            drawn[by] = set(map(tuple, edge_index[:, kept].T.tolist()))
        law = odd if epoch % 2 else even
        assert set(map(tuple, kept_pairs(model).T.tolist())) == drawn[law]
        if drawn["degree"] != drawn["uniform"]:
            told_apart.add(epoch % 2)
    assert told_apart == {0, 1}


def test_without_pruning_training_and_evaluation_see_one_graph(catalogue, first_epoch):
    data = catalogue()
    model = make(data, edge_drop=0.0)
    first_epoch(model, data)
    assert model.pruned_graph is None


def test_nodes_without_edges_end_at_zero_with_finite_gradients(
    catalogue, batch, randomise
):
    data = catalogue()
    model = randomise(make(data))
    z_user, z_item = model.encode(data)
    assert not z_user[8].any()
    assert not z_item[13].any()
    torch.stack(list(model.loss(data, batch).values())).sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"edge_drop": 1.0}, r"'edge_drop' must be in \[0, 1\) \(got 1.0\)"),
        ({"num_layers": 0}, r"'num_layers' must be at least 1 \(got 0\)"),
        ({"edge_drop_by": "age"}, r"'edge_drop_by' must be one of .* \(got 'age'\)"),
    ],
)
def test_impossible_options_are_refused(catalogue, options, message):
    with pytest.raises(ValueError, match=message):
        make(catalogue(), **options)


def test_tables_start_xavier_uniform_each_by_itself(catalogue):
    data = catalogue(num_items=2000)
    model = build_model("LayerGCN", data)
    for table, rows in ((model.user.weight, 9), (model.item.weight, 2000)):
        bound = (6 / (rows + 64)) ** 0.5
        assert 0.98 * bound < table.abs().max().item() <= bound
