from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmgraph.errors import UserError
from mmgraph.models import build_model

WIDTHS = {"visual": 6, "textual": 4}
FIDELITIES = ["paper", "released"]


def make(data, fidelity="paper", **options):
    options = {
        "embedding_dim": 5,
        "num_hyperedges": 3,
        "reg_weight": 0.3,
        "contrast_weight": 0.2,
        "global_weight": 0.7,
    } | options
    return build_model("LGMRec", data, fidelity=fidelity, **options)


def softmax(x):
    power = x.exp()
    return power / power.sum(dim=1, keepdim=True)


def gumbel(shape, generator=None):
    return -torch.rand(shape, generator=generator).log().neg().log()


def memberships(model, logits, generator, *, draw):
    """Users' and items' shares in the hyperedges, in the order of the draws."""
    item, user = logits
    out = []
    for x in (item, user):
        noise = gumbel(x.shape, generator) if draw else 0.0
        soft = softmax((x + noise) / model.contrast_temperature)
        if model.training:
            soft = soft * F.dropout(torch.ones_like(soft), model.dropout)
        out.append(soft)
    return out


def reference(model, data, dense, generator=None, *, draw=True):
    """Final users and items, and those of each modality's hypergraph."""
    matrix = dense.user_item(data["user", "interacts", "item"].edge_index, 9, 14)
    r = (matrix[:9, 9:] > 0).double()
    e = torch.cat([model.user.weight, model.item.weight])
    layers = dense.layers(matrix, e, model.propagate.num_layers)
    c = sum(layers) / len(layers)
    local = c
    for m, linear in model.project.items():
        f = data["item"][f"x_{m}"] @ linear.weight.T
        rows = [f[row.bool()].mean(dim=0) if row.any() else torch.zeros(5) for row in r]
        start = torch.cat([torch.stack(rows), f])
        last = dense.layers(matrix, start, model.propagate_modality.num_layers)[-1]
        local = local + F.normalize(last)  # the node without edges stays zero
    hyper, total = {}, 0.0
    for m, linear in model.hyperedges.items():
        logits = data["item"][f"x_{m}"] @ linear.weight.T
        h_item, h_user = memberships(model, (logits, r @ logits), generator, draw=draw)
        x = c[9:]
        for _ in range(model.num_hypergraph_layers):
            u, x = h_user @ h_item.T @ x, h_item @ h_item.T @ x
        hyper[m] = (u, x)
        total = total + torch.cat([u, x])
    z = local + model.global_weight * F.normalize(total)
    return z[:9], z[9:], hyper


def contrast(x, y, rows, contrast_temperature):
    """Sum over the batch; every row of ``y`` is a candidate."""
    total = 0.0
    for b in rows.tolist():
        cosine = (y @ x[b]) / ((y * y).sum(dim=1) * (x[b] * x[b]).sum()).sqrt()
        power = (cosine / contrast_temperature).exp()
        total = total - torch.log(power[b] / power.sum())
    return total


def penalty(model, z_user, z_item, batch):
    rows = z_user[batch.user], z_item[batch.pos_item], z_item[batch.neg_item]
    if model.fidelity == "released":
        return sum((x**2).sum().sqrt() for x in rows) / len(batch.user)
    return sum((x**2).sum() for x in rows) / 2 / len(batch.user)


@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize("widths", [WIDTHS, WIDTHS | {"acoustic": 3}])
@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_loss_and_gradients_equal_a_dense_reference(
    catalogue, batch, dense, agree, randomise, first_epoch, fidelity, widths, rounds
):
    data = catalogue(widths)
    # Half the entries dropped, some node might lose all and have no direction.
    options = {"num_hypergraph_layers": rounds, "dropout": 0.1, "num_hyperedges": 6}
    model = randomise(make(data, fidelity, **options))
    data = first_epoch(model, data)
    torch.manual_seed(6)
    z_user, z_item, hyper = reference(model, data, dense)
    names, total = list(hyper), 0.0
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            for side, rows in enumerate((batch.user, batch.pos_item)):
                x, y = hyper[first][side], hyper[second][side]
                total = total + contrast(x, y, rows, 0.2)
    expected = {
        "bpr": dense.bpr(z_user, z_item, batch),
        "contrast": 0.2 * total,
        "reg": 0.3 * penalty(model, z_user, z_item, batch),
    }
    torch.manual_seed(6)
    agree(model, model.loss(data, batch), expected)


def test_paper_evaluates_without_noise(catalogue, dense, randomise):
    data = catalogue(WIDTHS)
    model = randomise(make(data)).eval()
    expected = reference(model, data, dense, draw=False)
    for mine, other in zip(model.encode(data), expected, strict=False):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


def test_released_evaluates_with_one_fixed_draw(catalogue, dense, randomise):
    data = catalogue(WIDTHS)
    model = randomise(make(data, "released")).eval()
    fixed = torch.Generator().manual_seed(0)
    expected = reference(model, data, dense, fixed)
    state = torch.get_rng_state()
    first, second = model.encode(data), model.encode(data)
    assert torch.equal(torch.get_rng_state(), state)
    for mine, again, other in zip(first, second, expected, strict=False):
        assert torch.equal(mine, again)
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)
    still = reference(model, data, dense, draw=False)
    assert not torch.allclose(first[1], still[1], rtol=1e-3)


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_training_draws_anew_at_every_step(catalogue, batch, first_epoch, fidelity):
    data = catalogue(WIDTHS)
    model = make(data, fidelity, dropout=0.0)
    data = first_epoch(model, data)
    losses = []
    for seed in (1, 2, 1):
        torch.manual_seed(seed)
        losses.append(model.loss(data, batch)["contrast"])
    assert losses[0] != losses[1]
    assert losses[0] == losses[2]


def test_one_modality_has_no_contrast(catalogue, batch, first_epoch):
    data = catalogue({"visual": 6})
    model = make(data)
    assert list(model.loss(first_epoch(model, data), batch)) == ["bpr", "reg"]


def test_without_its_weight_there_is_no_contrast(catalogue, batch, first_epoch):
    data = catalogue(WIDTHS)
    model = make(data, contrast_weight=0.0)
    assert list(model.loss(first_epoch(model, data), batch)) == ["bpr", "reg"]


def test_the_features_are_frozen_and_the_maps_have_no_bias(catalogue):
    model = make(catalogue(WIDTHS))
    assert sum(p.numel() for p in model.parameters()) == (
        (9 + 14) * 5 + (6 + 4) * 5 + (6 + 4) * 3
    )


def test_gathered_rows_equal_the_full_projection(catalogue, batch, randomise):
    data = catalogue(WIDTHS)
    model = randomise(make(data))
    whole, rows = model._encode_modalities(data), batch.pos_item
    for m, part in model._encode_modalities(data, rows).items():
        torch.testing.assert_close(part, whole[m][rows], rtol=1e-12, atol=1e-14)


def test_bad_options_are_refused(catalogue):
    data = catalogue(WIDTHS)
    for options, message in (
        ({"num_hypergraph_layers": 0}, r"'num_hypergraph_layers' must be at least 1"),
        ({"num_hyperedges": 0}, r"'num_hyperedges' must be at least 1 \(got 0\)"),
        ({"dropout": 1.0}, r"'dropout' must be in \[0, 1\) \(got 1.0\)"),
        (
            {"contrast_temperature": 0.0},
            r"temperature' must be above 0 \(got 0.0\)",
        ),
    ):
        with pytest.raises(UserError, match=message):
            make(data, **options)
