from __future__ import annotations

import math

import pytest
import torch

from mmgraph.models import build_model

WIDTHS = {"visual": 6, "textual": 4}
INTERACTS = ("user", "interacts", "item")


def make(data, fidelity="paper", **options):
    options = {"embedding_dim": 5, "reg_weight": 0.3, "edge_drop": 0.5} | options
    return build_model("FREEDOM", data, fidelity=fidelity, **options)


def kept_pairs(model):
    """Users and items of the edges that survived this epoch's pruning."""
    source, target = model.pruned_graph.edge_index()
    to_item = target >= 9
    return torch.stack([source[to_item], target[to_item] - 9])


def reference(model, data, dense, edge_index):
    """User and item embeddings on the given edges."""
    user, item = model.user.weight, model.item.weight
    matrix = dense.user_item(edge_index, 9, 14)
    z = sum(dense.layers(matrix, torch.cat([user, item]), 2)) / 3
    h = dense.layers(dense.item_graph(data), item, model.smooth.num_layers)[-1]
    return z[:9], z[9:] + h


@pytest.mark.parametrize("num_item_layers", [1, 2])
@pytest.mark.parametrize("fidelity", ["paper", "released"])
def test_loss_and_gradients_equal_a_dense_reference(
    catalogue, batch, dense, agree, randomise, first_epoch, fidelity, num_item_layers
):
    data = catalogue(WIDTHS)
    model = randomise(make(data, fidelity, num_item_layers=num_item_layers))
    data = first_epoch(model, data)
    z_user, z_item = reference(model, data, dense, kept_pairs(model))
    expected = {"bpr": dense.bpr(z_user, z_item, batch)}
    for m in WIDTHS:
        x = model.features[m] if fidelity == "released" else data["item"][f"x_{m}"]
        content = dense.linear(model.project[m], x)
        expected[f"bpr_{m}"] = 0.3 * dense.bpr(z_user, content, batch)
    agree(model, model.loss(data, batch), expected)


def test_evaluation_uses_every_edge(catalogue, dense, randomise, first_epoch):
    data = catalogue(WIDTHS)
    model = randomise(make(data))
    data = first_epoch(model, data)
    model.eval()
    expected = reference(model, data, dense, data[INTERACTS].edge_index)
    for mine, other in zip(model.encode(data), expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("edge_drop", [0.0, 0.3, 0.5, 0.75])
def test_floor_of_the_share_survives_and_is_normalised_anew(
    catalogue, dense, first_epoch, edge_drop
):
    data = catalogue(WIDTHS)
    model = make(data, edge_drop=edge_drop)
    first_epoch(model, data)
    kept = kept_pairs(model)
    everything = set(map(tuple, data[INTERACTS].edge_index.T.tolist()))
    survivors = set(map(tuple, kept.T.tolist()))
    assert survivors <= everything
    assert len(survivors) == kept.size(1) == math.floor(40 * (1 - edge_drop))
    matrix = torch.zeros(23, 23)
    source, target = model.pruned_graph.edge_index()
    matrix[target, source] = model.pruned_graph.weight
    torch.testing.assert_close(matrix, dense.user_item(kept, 9, 14), rtol=1e-12, atol=0)


def test_each_epoch_draws_its_own_graph_and_a_seed_repeats_it(catalogue, first_epoch):
    data = catalogue(WIDTHS)
    model, draws = make(data), []
    for seed in (0, 1, 0):
        first_epoch(model, data, seed=seed)
        draws.append(kept_pairs(model))
    assert not torch.equal(draws[0], draws[1])
    assert torch.equal(draws[0], draws[2])


def test_item_graph_weighs_visual_neighbours_01_and_textual_09(catalogue):
    data = catalogue(WIDTHS)
    graph = make(data).add_graphs(data)["item", "similar", "item"]
    expected = torch.zeros(14, 14)
    for m, share in (("visual", 0.1), ("textual", 0.9)):
        x = data["item"][f"x_{m}"].tolist()
        for i in range(14):
            cosine = [
                sum(a * b for a, b in zip(x[i], x[j], strict=True))
                / (math.hypot(*x[i]) * math.hypot(*x[j]))
                for j in range(14)
            ]
            nearest = sorted(range(14), key=lambda j, c=cosine: -c[j])[:10]
            assert i in nearest
            for j in nearest:
                expected[i, j] += share / 10
    matrix = torch.zeros(14, 14)
    matrix[graph.edge_index[1], graph.edge_index[0]] = graph.edge_weight.double()
    # The builder's weights are float32.
    torch.testing.assert_close(matrix, expected, rtol=1e-6, atol=1e-9)
    assert {round(w, 6) for w in graph.edge_weight.tolist()} == {0.01, 0.09, 0.1}


def test_item_graph_is_frozen(catalogue, batch, randomise, first_epoch):
    data = catalogue(WIDTHS)
    model = randomise(make(data, "released"))
    data = first_epoch(model, data)
    before = model.item_graph(data)
    with torch.no_grad():
        model.features["visual"].add_(1.0)
    assert model.item_graph(model.add_graphs(data)) is before


def test_paper_has_no_trainable_features(catalogue):
    model = make(catalogue(WIDTHS))
    assert sum(p.numel() for p in model.parameters()) == (
        (9 + 14) * 5 + (6 * 5 + 5) + (4 * 5 + 5)
    )


def test_gathered_rows_equal_the_full_projection(catalogue, batch, randomise):
    data = catalogue(WIDTHS)
    model = randomise(make(data))
    whole, rows = model._encode_modalities(data), batch.pos_item
    for m, part in model._encode_modalities(data, rows).items():
        torch.testing.assert_close(part, whole[m][rows], rtol=1e-12, atol=1e-14)


def test_without_weight_the_features_have_no_term_and_no_gradient(
    catalogue, batch, first_epoch
):
    data = catalogue(WIDTHS)
    model = make(data, reg_weight=0.0)
    data = first_epoch(model, data)
    terms = model.loss(data, batch)
    assert list(terms) == ["bpr"]
    terms["bpr"].backward()
    assert all(p.grad is None for p in model.project.parameters())


def test_full_drop_is_refused(catalogue):
    with pytest.raises(ValueError, match=r"'edge_drop' must be in \[0, 1\) \(got 1"):
        make(catalogue(WIDTHS), edge_drop=1.0)


def test_maps_start_as_pytorch_draws_them(catalogue):
    data = catalogue({"visual": 400})
    weight = make(data, embedding_dim=64).project["visual"].weight
    bound = 400**-0.5  # Kaiming-uniform with a = sqrt(5)
    assert 0.98 * bound < weight.abs().max().item() <= bound
