from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from mmgraph.errors import UserError
from mmgraph.functional.losses.bootstrap import bootstrap_loss
from mmgraph.models import Batch, bm3, build_model

WIDTHS = {"visual": 6, "textual": 4}
FIDELITIES = ["paper", "released"]


def make(data, fidelity="paper", **options):
    options = {"embedding_dim": 5, "num_layers": 2, "reg_weight": 0.3} | options
    return build_model("BM3", data, fidelity=fidelity, **options)


def embeddings(model, data, dense):
    """Users and items before the predictor."""
    user, item = model.user.weight, model.item.weight
    matrix = dense.user_item(data["user", "interacts", "item"].edge_index, 9, 14)
    layers = dense.layers(matrix, torch.cat([user, item]), model.propagate.num_layers)
    z = sum(layers) / len(layers)
    return z[:9], z[9:] + item


def contents(model, data, dense):
    return {
        m: dense.linear(
            linear,
            model.features[m] if m in model.features else data["item"][f"x_{m}"],
        )
        for m, linear in model.project.items()
    }


def masks_of_a_step(model, batch, seed):
    """One mask per distinct user, per distinct item and per modality of those."""
    torch.manual_seed(seed)
    users, items = batch.user.unique(), batch.pos_item.unique()
    nodes = {"user": (9, users), "item": (14, items)}
    nodes |= dict.fromkeys(model.project, (14, items))
    whole = {}
    for name, (size, rows) in nodes.items():
        whole[name] = torch.ones(size, 5)
        whole[name][rows] = F.dropout(torch.ones(rows.numel(), 5), model.dropout)
    return whole


def distance(x, y):
    """``1 - cos`` of two vectors, the second a constant."""
    y = y.detach()
    return 1 - (x * y).sum() / ((x * x).sum() * (y * y).sum()).sqrt()


def reference(model, data, dense, batch, mask):
    h_user, h_item = embeddings(model, data, dense)
    f = contents(model, data, dense)
    terms = {"rec": 0.0} | {f"rec_{m}": 0.0 for m in f}
    pairs = list(zip(batch.user.tolist(), batch.pos_item.tolist(), strict=True))

    def q(x):
        return model.predict.weight @ x + model.predict.bias

    for u, i in pairs:
        bar_u, bar_i = h_user[u] * mask["user"][u], h_item[i] * mask["item"][i]
        terms["rec"] = terms["rec"] + distance(q(h_user[u]), bar_i)
        terms["rec"] = terms["rec"] + distance(q(h_item[i]), bar_u)
        for m in f:
            content = distance(q(f[m][i]), bar_i)
            content = content + distance(q(f[m][i]), f[m][i] * mask[m][i])
            terms[f"rec_{m}"] = terms[f"rec_{m}"] + 2.0 * content
    terms = {name: total / len(pairs) for name, total in terms.items()}
    if model.fidelity == "released":
        norms = (h_user**2).sum().sqrt() + (h_item**2).sum().sqrt()
        terms["reg"] = 0.3 * norms / 14
    else:
        squares = sum((h_user[u] ** 2).sum() + (h_item[i] ** 2).sum() for u, i in pairs)
        terms["reg"] = 0.3 * squares / 2 / len(pairs)
    return terms


@pytest.fixture
def pairs(batch):
    return Batch(batch.user, batch.pos_item)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_loss_and_gradients_equal_a_dense_reference(
    catalogue, pairs, dense, agree, randomise, first_epoch, fidelity, dropout
):
    data = catalogue(WIDTHS)
    model = randomise(make(data, fidelity, dropout=dropout))
    data = first_epoch(model, data)
    mask = masks_of_a_step(model, pairs, seed=3)
    torch.manual_seed(3)
    terms = model.loss(data, pairs)
    agree(model, terms, reference(model, data, dense, pairs, mask))


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_scores_have_the_predictor_on_both_sides(catalogue, dense, randomise, fidelity):
    data = catalogue(WIDTHS)
    model = randomise(make(data, fidelity)).eval()
    h_user, h_item = embeddings(model, data, dense)
    scores = model.score(*model.encode(data))
    expected = (
        dense.linear(model.predict, h_user) @ dense.linear(model.predict, h_item).T
    )
    torch.testing.assert_close(scores, expected, rtol=1e-10, atol=1e-12)


def test_targets_drop_the_share_and_scale_the_rest(catalogue):
    model = make(catalogue(WIDTHS), dropout=0.25).train()
    x = torch.ones(400, 50, requires_grad=True)
    target = model.target(x)
    assert not target.requires_grad
    kept = target[target != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 4 / 3))
    # 20 000 draws: four standard errors are 0.012.
    assert kept.numel() / 20_000 == pytest.approx(0.75, abs=0.013)
    assert torch.equal(model.eval().target(x), x)


def test_what_comes_back_in_a_batch_shares_one_target(catalogue, first_epoch):
    data = catalogue(WIDTHS)
    model = make(data)
    data = first_epoch(model, data)
    once = Batch(torch.tensor([2]), torch.tensor([5]))
    thrice = Batch(torch.tensor([2, 2, 2]), torch.tensor([5, 5, 5]))
    losses = []
    for batch in (once, thrice):
        torch.manual_seed(8)
        losses.append(model.loss(data, batch))
    for name in losses[0].keys() - {"reg"}:
        torch.testing.assert_close(losses[0][name], losses[1][name])


def test_each_step_draws_its_own_targets(catalogue, pairs, first_epoch):
    data = catalogue(WIDTHS)
    model = make(data)
    data = first_epoch(model, data)
    first, second = (model.loss(data, pairs)["rec"] for _ in range(2))
    assert first != second


def test_released_trains_a_copy_of_the_features_and_paper_none(
    catalogue, pairs, first_epoch
):
    data = catalogue(WIDTHS)
    original = {m: data["item"][f"x_{m}"].clone() for m in WIDTHS}
    assert not make(data).features
    model = make(data, "released")
    for m in WIDTHS:
        assert torch.equal(model.features[m], original[m])
    data = first_epoch(model, data)
    optimizer = torch.optim.SGD(model.main_parameters(), lr=1.0)
    torch.stack(list(model.loss(data, pairs).values())).sum().backward()
    optimizer.step()
    for m in WIDTHS:
        rows = (model.features[m] != original[m]).any(dim=1).nonzero().flatten()
        assert rows.tolist() == pairs.pos_item.unique().tolist()
        assert torch.equal(data["item"][f"x_{m}"], original[m])


def test_gathered_rows_equal_the_full_projection(catalogue, pairs, randomise):
    data = catalogue(WIDTHS)
    model = randomise(make(data))
    whole, rows = model._encode_modalities(data), pairs.pos_item
    for m, part in model._encode_modalities(data, rows).items():
        torch.testing.assert_close(part, whole[m][rows], rtol=1e-12, atol=1e-14)


def test_without_weight_the_features_have_no_term(catalogue, pairs, first_epoch):
    data = catalogue(WIDTHS)
    model = make(data, modality_weight=0.0)
    data = first_epoch(model, data)
    assert list(model.loss(data, pairs)) == ["rec", "reg"]
    with pytest.raises(UserError, match="do not reach its scores"):
        build_model("BM3", data, plugin="SEA", modality_weight=0.0)


def test_full_dropout_is_refused(catalogue):
    with pytest.raises(UserError, match=r"'dropout' must be in \[0, 1\) \(got 1"):
        make(catalogue(WIDTHS), dropout=1.0)


def test_maps_start_xavier_normal_and_tables_xavier_uniform(catalogue):
    model = make(catalogue({"visual": 400}), embedding_dim=64)
    std = model.project["visual"].weight.std().item()
    # 25 600 draws: the standard error of their deviation is 0.44 %.
    assert std == pytest.approx(math.sqrt(2 / 464), rel=0.02)
    bound = math.sqrt(6 / (9 + 64))
    assert 0.95 * bound < model.user.weight.abs().max().item() <= bound


def test_the_default_weight_of_the_penalty_is_that_of_its_form(catalogue):
    data = catalogue(WIDTHS)
    for fidelity, weight in (("released", 0.1), ("paper", 1e-3)):
        assert make(data, fidelity, reg_weight=None).reg_weight == weight


def test_a_node_that_comes_back_has_one_target(
    catalogue, first_epoch, device, monkeypatch
):
    data = catalogue(WIDTHS).to(device)
    model = make(data, dropout=0.5).to(device)
    targets = []

    def keep(q, target):
        targets.append(target.tolist())
        return bootstrap_loss(q, target)

    monkeypatch.setattr(bm3, "bootstrap_loss", keep)
    model.train()
    user, item = torch.tensor([[3, 1, 3, 3], [0, 2, 0, 1]], device=device)
    model.loss(data, Batch(user, item))
    of_items, of_users, *_ = targets
    assert of_users[0] == of_users[2] == of_users[3] != of_users[1]
    assert of_items[0] == of_items[2] != of_items[3]
