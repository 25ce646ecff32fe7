from __future__ import annotations

import pytest
import torch

from mmgraph.models import build_model

WIDTHS = {"visual": 6, "textual": 4, "acoustic": 3}


def make(data, fidelity="paper", **options):
    options = {"embedding_dim": 5, "reg_weight": 0.3} | options
    return build_model("VBPR", data, fidelity=fidelity, **options)


def item_content(model, data):
    """``sum_m W_m x_i``, one item at a time."""
    rows = []
    for i in range(data["item"].num_nodes):
        parts = [
            model.project[m].weight @ data["item"][f"x_{m}"][i] for m in model.project
        ]
        rows.append(sum(parts))
    return torch.stack(rows)


def eq_4(model, data):
    """Scores of Eq. 4 without what depends on the user alone."""
    gamma_user, theta_user = model.user.weight.split(5, dim=1)
    scores = gamma_user @ model.item.weight.T + theta_user @ item_content(model, data).T
    scores = scores + model.item_bias.weight.T
    for m, linear in model.feature_bias.items():
        scores = scores + linear.weight @ data["item"][f"x_{m}"].T
    return scores


def released(model, data):
    content = item_content(model, data) + model.bias
    return model.user.weight @ torch.cat([model.item.weight, content], dim=1).T


FORMS = {"paper": eq_4, "released": released}


@pytest.mark.parametrize("fidelity", FORMS)
def test_scores_equal_the_written_out_equation(catalogue, randomise, fidelity):
    data = catalogue(WIDTHS)
    model = randomise(make(data, fidelity))
    scores = model.score(*model.encode(data))
    expected = FORMS[fidelity](model, data)
    torch.testing.assert_close(scores, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("fidelity", FORMS)
def test_ranking_loss_and_gradients_equal_a_dense_reference(
    catalogue, batch, agree, randomise, fidelity
):
    data = catalogue(WIDTHS)
    model = randomise(make(data, fidelity))
    scores = FORMS[fidelity](model, data)
    total = 0.0
    for u, i, j in zip(*(part.tolist() for part in batch), strict=True):
        total = total - torch.log(torch.sigmoid(scores[u, i] - scores[u, j]))
    loss = {"bpr": model.loss(data, batch)["bpr"]}
    agree(model, loss, {"bpr": total / len(batch.user)})


@pytest.mark.parametrize("fidelity", FORMS)
def test_penalty_and_gradients_equal_a_dense_reference(
    catalogue, batch, agree, randomise, fidelity
):
    data = catalogue(WIDTHS)
    model = randomise(make(data, fidelity))
    content, gamma = item_content(model, data), model.item.weight
    if fidelity == "paper":
        bias = model.item_bias.weight
        for m, linear in model.feature_bias.items():
            bias = bias + data["item"][f"x_{m}"] @ linear.weight.T
        item = torch.cat([gamma, content, bias], dim=1)
    else:
        item = torch.cat([gamma, content + model.bias], dim=1)
    rows = model.user.weight[batch.user], item[batch.pos_item], item[batch.neg_item]
    if fidelity == "paper":
        reg = sum((x**2).sum() for x in rows) / 2 / len(batch.user)
    else:
        reg = sum((x**2).sum() ** 0.5 for x in rows) / len(batch.user)
    agree(model, {"reg": model.loss(data, batch)["reg"]}, {"reg": 0.3 * reg})


@pytest.mark.parametrize("fidelity", FORMS)
def test_gathered_rows_equal_the_full_projection(
    catalogue, batch, agree, randomise, fidelity
):
    data = catalogue(WIDTHS)
    model = randomise(make(data, fidelity))
    z_user, z_item = model.encode(data)
    user, pos, neg = z_user[batch.user], z_item[batch.pos_item], z_item[batch.neg_item]
    margin = (user * pos).sum(1) - (user * neg).sum(1)
    whole = -torch.nn.functional.logsigmoid(margin).mean()
    agree(model, {"bpr": model.loss(data, batch)["bpr"]}, {"bpr": whole})


def test_sum_over_modalities_is_one_map_of_the_concatenated_features(
    catalogue, randomise
):
    data = catalogue(WIDTHS)
    model = randomise(make(data, "released"))
    x = torch.cat([data["item"][f"x_{m}"] for m in WIDTHS], dim=1)
    weight = torch.cat([model.project[m].weight for m in WIDTHS], dim=1)
    expected = x @ weight.T + model.bias
    _, z_item = model.encode(data)
    torch.testing.assert_close(z_item[:, 5:], expected, rtol=1e-10, atol=1e-12)


def test_maps_start_as_one_xavier_normal_map_of_all_features(catalogue):
    data = catalogue({"visual": 300, "textual": 100})
    model = make(data, embedding_dim=64)
    for linear in model.project.values():
        # 6 400 draws and more: the standard error of their deviation is 0.9 %.
        expected = (2 / (400 + 64)) ** 0.5
        assert linear.weight.std().item() == pytest.approx(expected, rel=0.035)


def test_biases_start_at_zero(catalogue):
    paper, public = make(catalogue(WIDTHS)), make(catalogue(WIDTHS), "released")
    assert not public.bias.any()
    assert not paper.item_bias.weight.any()
    assert not any(linear.weight.any() for linear in paper.feature_bias.values())


def test_encoders_are_the_summands_of_the_content(catalogue, randomise):
    data = catalogue(WIDTHS)
    model = randomise(make(data))
    z = model._encode_modalities(data)
    torch.testing.assert_close(
        sum(z.values()), item_content(model, data), rtol=1e-10, atol=1e-12
    )
    rows = torch.tensor([3, 3, 0])
    gathered = model._encode_modalities(data, rows)
    assert all(torch.allclose(gathered[m], z[m][rows], rtol=1e-12) for m in z)
    assert {m: x.size(1) for m, x in z.items()} == model.modality_dims()
