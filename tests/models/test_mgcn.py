from __future__ import annotations

import pytest
import torch
from reference.plugin import check_that_its_output_is_used

from mmgraph.errors import UserError
from mmgraph.models import Batch, build_model

WIDTHS = {"visual": 6, "textual": 4, "audio": 3}
FIDELITIES = ["paper", "released"]
OPTIONS = {"embedding_dim": 5, "k": 4, "reg_weight": 0.3, "contrast_weight": 0.2}


def make(data, fidelity="paper", **options):
    return build_model("MGCN", data, fidelity=fidelity, **(OPTIONS | options))


def reference(model, data, dense, item_layers=1):
    """Behaviour and content of all nodes."""
    user, item = model.user.weight, model.item.weight
    matrix = dense.user_item(data["user", "interacts", "item"].edge_index, 9, 14)
    c = sum(dense.layers(matrix, torch.cat([user, item]), 2)) / 3
    views = []
    for m in model.dims:
        x = data["item"][f"x_{m}"] if model.fidelity == "paper" else model.features[m]
        f = dense.linear(model.project[m], x)
        e = item / (1 + torch.exp(-dense.linear(model.purify[m], f)))
        e = dense.layers(dense.item_graph(data, f"similar_{m}"), e, item_layers)[-1]
        views.append(torch.cat([matrix[:9, 9:] @ e, e]))
    common = dense.attention(model.fuse, views)
    specific = [
        (view - common) / (1 + torch.exp(-dense.linear(model.prefer[m], c)))
        for m, view in zip(model.dims, views, strict=True)
    ]
    if model.fidelity == "paper":
        return c, common + sum(specific) / len(specific)
    return c, (common + sum(specific)) / (len(specific) + 1)


def in_batch(x, y, temperature, dense):
    """Mean over the batch of -ln of the match's share, negatives from ``y`` alone."""
    x, y = dense.unit_rows(x), dense.unit_rows(y)
    total = 0.0
    for b in range(len(x)):
        e = torch.exp(y @ x[b] / temperature)
        total = total - torch.log(e[b] / e.sum())
    return total / len(x)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_loss_and_gradients_equal_a_dense_reference(
    catalogue, dense, agree, randomise, first_epoch, fidelity, count
):
    data = catalogue(dict(list(WIDTHS.items())[:count]))
    model = randomise(make(data, fidelity, num_item_layers=2))
    data = first_epoch(model, data)
    # Users with a training edge: without one, the content has no direction.
    batch = Batch(*(torch.randint(n, (11,)) for n in (8, 13, 14)))
    c, b = reference(model, data, dense, 2)
    z = c + b
    user, pos, neg = z[batch.user], z[9:][batch.pos_item], z[9:][batch.neg_item]
    size = 11 if fidelity == "paper" else 2048
    squares = sum((rows**2).sum() for rows in (user, pos, neg))
    contrast = sum(
        in_batch(b[rows], c[rows], 0.2, dense)
        for rows in (batch.user, 9 + batch.pos_item)
    )
    expected = {
        "bpr": dense.bpr(z[:9], z[9:], batch),
        "reg": 0.3 * squares / 2 / size,
        "contrast": 0.2 * contrast,
    }
    agree(model, model.loss(data, batch), expected)


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_scores_are_behaviour_plus_content(catalogue, dense, randomise, fidelity):
    data = catalogue(WIDTHS)
    model = randomise(make(data, fidelity)).eval()
    data = model.add_graphs(data)
    c, b = reference(model, data, dense)
    for mine, other in zip(model.encode(data), (c + b).split([9, 14]), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


def test_item_graphs_weigh_cosines_by_the_roots_of_both_lists_sums(catalogue, dense):
    data = catalogue(WIDTHS)
    prepared = make(data).add_graphs(data)
    for m in WIDTHS:
        kept = dense.nearest_cosines(data["item"][f"x_{m}"], 4)
        mine = dense.item_graph(prepared, f"similar_{m}")
        # The builder's similarities are float32.
        torch.testing.assert_close(mine, dense.by_row_sums(kept), rtol=1e-5, atol=1e-6)
    assert ("item", "similar", "item") not in prepared.edge_types


def test_graphs_are_built_once_and_kept(catalogue, caplog):
    data = catalogue(WIDTHS)
    model = make(data)
    first, second = model.add_graphs(data), model.add_graphs(data)
    for m in WIDTHS:
        edge_type = ("item", f"similar_{m}", "item")
        assert first[edge_type].edge_index is second[edge_type].edge_index
    assert model.add_graphs(first) is first
    assert not caplog.records
    make(data, k=3).add_graphs(first)
    assert "the data have an item graph, which is used as it is" in caplog.text


def test_data_prepared_for_another_system_are_completed(catalogue, caplog):
    data = catalogue(WIDTHS)
    ready = build_model("FREEDOM", data).add_graphs(make(data).add_graphs(data))
    assert ("item", "similar", "item") in ready.edge_types
    assert not caplog.records


def test_missing_graphs_are_told(catalogue, batch):
    data = catalogue(WIDTHS)
    with pytest.raises(UserError, match=r"pass them through model\.add_graphs"):
        make(data).loss(data, batch)


def test_without_weight_there_is_no_contrast(catalogue, batch, first_epoch):
    data = catalogue(WIDTHS)
    model = make(data, contrast_weight=0.0)
    assert list(model.loss(first_epoch(model, data), batch)) == ["bpr", "reg"]


def test_option_out_of_range_is_refused(catalogue):
    with pytest.raises(
        ValueError, match=r"'contrast_temperature' must be above 0 \(got 0"
    ):
        make(catalogue(WIDTHS), contrast_temperature=0.0)
    with pytest.raises(UserError, match="'contrast_weight' must be at least 0"):
        make(catalogue(WIDTHS), contrast_weight=-1.0)


def test_what_a_plugin_returns_is_what_is_used(
    catalogue, batch, randomise, first_epoch
):
    data = catalogue(WIDTHS)
    model = randomise(make(data))
    check_that_its_output_is_used(
        model, lambda: model.loss(first_epoch(model, data), batch)
    )
