from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmgraph.errors import UserError
from mmgraph.models import Batch, build_model

WIDTHS = {"visual": 6, "textual": 4}
FIDELITIES = ["paper", "released"]
#: The tower without a modality's name is that of the ID.
NAMES = ["", *WIDTHS]


def make(data, fidelity="paper", **options):
    options = {"embedding_dim": 6, "num_layers": 2, "ssl_weight": 0.3} | options
    return build_model("SLMRec", data, fidelity=fidelity, **options)


def inputs(model, data):
    out = {"": model.item.weight}
    for m, linear in model.project.items():
        rows = [
            linear.weight @ (x / (x * x).sum().sqrt()) + linear.bias
            for x in data["item"][f"x_{m}"]
        ]
        out[m] = torch.stack(rows)
    return out


def towers(model, data, dense, start, masks=None):
    """LightGCN's mean per input; ``masks`` multiply the layers from the first on."""
    matrix = dense.user_item(data["user", "interacts", "item"].edge_index, 9, 14)
    out = {}
    for name, e_item in start.items():
        x = torch.cat([model.user.weight, e_item])
        total = x
        for layer in range(model.num_layers):
            x = matrix @ x
            if masks is not None:
                x = x * masks[name][layer]
            total = total + x
        out[name] = total / (model.num_layers + 1)
    return out


def fused(model, dense, h):
    whole = torch.cat(list(h.values()), dim=1)
    return (
        dense.linear(model.fuse_users, whole[:9]),
        dense.linear(model.fuse_items, whole[9:]),
    )


def nce(x, y, contrast_temperature, normalize=True):
    """Row by row ``-log softmax`` of the match among the batch."""
    total = 0.0
    for b in range(len(x)):
        logits = []
        for c in range(len(y)):
            value = (x[b] * y[c]).sum()
            if normalize:
                value = value / ((x[b] ** 2).sum() * (y[c] ** 2).sum()).sqrt()
            logits.append(value / contrast_temperature)
        total = total - torch.log(logits[b].exp() / sum(v.exp() for v in logits))
    return total / len(x)


def main_term(model, dense, h, batch):
    z_user, z_item = fused(model, dense, h)
    return nce(z_user[batch.user], z_item[batch.pos_item], model.contrast_temperature)


def contrast_of_views(model, dense, batch, views):
    (u_1, i_1), (u_2, i_2) = (fused(model, dense, view) for view in views)
    users = nce(u_1[batch.user], u_2[batch.user], model.ssl_temperature)
    items = nce(i_1[batch.pos_item], i_2[batch.pos_item], model.ssl_temperature)
    return users + items


def alignment(model, dense, batch, h):
    """ID with visual at width 6; then, two maps on, with textual at width 3."""
    rows = {name: h[name][9:][batch.pos_item] for name in h}
    g = model.align
    a = dense.linear(g.query[0], rows[""])
    total = nce(a, dense.linear(g.view[0], rows["visual"]), 0.5, normalize=False)
    e = dense.linear(g.query[2], dense.linear(g.query[1], a))
    f = dense.linear(g.view[1], rows["textual"])
    assert e.size(1) == f.size(1) == 3
    return total + nce(e, f, 0.5, normalize=False)


@pytest.fixture
def pairs(batch):
    return Batch(batch.user, batch.pos_item)


def draws(model, task, seed):
    """What a step draws, in its order: the masked towers, then the dropout."""
    torch.manual_seed(seed)
    masked = [None, None]
    if "FM" in task:
        masked = [NAMES[i] for i in torch.randperm(3)[:2].tolist()]
    masks = [None, None]
    if "FD" in task:
        ones = torch.ones(23, 6)
        masks = [
            {n: [F.dropout(ones, model.dropout) for _ in range(2)] for n in NAMES}
            for _ in range(2)
        ]
    return masked, masks


@pytest.mark.parametrize("task", ["FAC", "FD", "FM", "FD+FM"])
@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_loss_and_gradients_equal_a_dense_reference(
    catalogue, pairs, dense, agree, randomise, first_epoch, fidelity, task
):
    data = catalogue(WIDTHS)
    model = make(
        data, fidelity, ssl_task=task, ssl_temperature=0.5, contrast_temperature=0.4
    )
    data = first_epoch(randomise(model), data)
    start = inputs(model, data)
    h = towers(model, data, dense, start)
    if task == "FAC":
        ssl = alignment(model, dense, pairs, h)
    else:
        views = []
        for out, mask in zip(*draws(model, task, seed=4), strict=True):
            zeroed = {n: x * (n != out) for n, x in start.items()}
            views.append(towers(model, data, dense, zeroed, mask))
        ssl = contrast_of_views(model, dense, pairs, views)
    torch.manual_seed(4)
    terms = model.loss(data, pairs)
    expected = {"nce": main_term(model, dense, h, pairs), "ssl": 0.3 * ssl}
    agree(model, terms, expected)


def test_the_textual_view_is_the_last_of_the_chain(catalogue):
    data = catalogue({"visual": 6, "textual": 4, "acoustic": 3})
    model = make(data)
    assert list(model.inputs(data)) == ["", "visual", "acoustic", "textual"]
    assert [m.out_features for m in model.align.view] == [6, 6, 3]


def test_masking_draws_two_different_towers_and_all_of_them(catalogue, first_epoch):
    data = catalogue(WIDTHS)
    model = make(data, ssl_task="FM")
    data = first_epoch(model, data)
    start = model.inputs(data)
    whole = model.towers(data, start)
    seen = set()
    for _ in range(40):
        out = [
            [n for n in NAMES if not torch.equal(view[n][1], whole[n][1])]
            for view in model.views(data, start, whole)
        ]
        assert all(len(names) == 1 for names in out)
        assert out[0] != out[1]
        seen.add((out[0][0], out[1][0]))
    assert len(seen) == 6


def test_alignment_alone_needs_no_draws(catalogue, pairs, first_epoch):
    data = catalogue(WIDTHS)
    model = make(data)
    data = first_epoch(model, data)
    first, second = (model.loss(data, pairs) for _ in range(2))
    assert first == second


def test_features_count_by_direction_alone(catalogue, pairs, randomise):
    data = catalogue(WIDTHS)
    model = randomise(make(data))
    z = model._encode_modalities(data)
    data["item"].x_visual = 7 * data["item"].x_visual
    scaled = model._encode_modalities(data)
    for m in WIDTHS:
        torch.testing.assert_close(scaled[m], z[m], rtol=1e-12, atol=1e-14)
        part = model._encode_modalities(data, pairs.pos_item)[m]
        torch.testing.assert_close(part, z[m][pairs.pos_item], rtol=1e-12, atol=1e-14)


def test_an_item_without_features_gets_the_bias(catalogue, randomise):
    data = catalogue(WIDTHS)
    model = randomise(make(data))
    data["item"].x_visual[3] = 0
    z = model._encode_modalities(data)["visual"]
    torch.testing.assert_close(z[3], model.project["visual"].bias)


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_released_scores_are_those_of_the_last_step_before_its_update(
    catalogue, pairs, dense, randomise, first_epoch, fidelity
):
    data = catalogue(WIDTHS)
    model = randomise(make(data, fidelity))
    data = first_epoch(model, data)

    def expected():
        h = towers(model, data, dense, inputs(model, data))
        z_user, z_item = fused(model, dense, h)
        return (z_user @ z_item.T).detach()

    stale = expected()
    optimizer = torch.optim.SGD(model.main_parameters(), lr=0.1)
    torch.stack(list(model.loss(data, pairs).values())).sum().backward()
    optimizer.step()
    fresh = expected()
    model.eval()
    scores = model.score(*model.encode(data))
    right, wrong = (stale, fresh) if fidelity == "released" else (fresh, stale)
    torch.testing.assert_close(scores, right, rtol=1e-10, atol=1e-12)
    assert not torch.allclose(scores, wrong, rtol=1e-3)


def test_released_scores_exist_before_any_step(catalogue, dense):
    data = catalogue(WIDTHS)
    model = make(data, "released").eval()
    h = towers(model, data, dense, inputs(model, data))
    for mine, other in zip(model.encode(data), fused(model, dense, h), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


def test_without_weight_there_is_no_task(catalogue, pairs, first_epoch):
    data = catalogue(WIDTHS)
    for task in ("FAC", "FD"):
        model = make(data, ssl_weight=0.0, ssl_task=task)
        assert model.align is None
        assert list(model.loss(first_epoch(model, data), pairs)) == ["nce"]


def test_bad_options_are_refused(catalogue):
    data = catalogue(WIDTHS)
    for options, message in (
        ({"ssl_task": "FAX"}, r"'ssl_task' must be one of .* \(got 'FAX'\)"),
        (
            {"contrast_temperature": 0},
            r"t_temperature' must be above 0 \(got 0\)",
        ),
        ({"ssl_temperature": -1}, r"'ssl_temperature' must be above 0 \(got -1\)"),
        ({"dropout": 1.0}, r"'dropout' must be in \[0, 1\) \(got 1.0\)"),
    ):
        with pytest.raises(UserError, match=message):
            make(data, **options)
