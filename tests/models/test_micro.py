from __future__ import annotations

import pytest
import torch

from mmgraph.models import build_model

WIDTHS = {"visual": 6, "textual": 4, "audio": 3}
FIDELITIES = ["paper", "released"]
OPTIONS = {
    "embedding_dim": 5,
    "k": 4,
    "raw_weight": 0.6,
    "reg_weight": 0.3,
    "contrast_weight": 0.2,
}

each_fidelity = pytest.mark.parametrize("fidelity", FIDELITIES)


def make(data, fidelity="paper", **options):
    return build_model("MICRO", data, fidelity=fidelity, **(OPTIONS | options))


def dense_graphs(model, data, dense):
    """One whole 14 x 14 matrix per modality."""
    out = []
    for m in model.dims:
        x = data["item"][f"x_{m}"] if model.fidelity == "paper" else model.features[m]
        kept = dense.nearest_cosines(dense.linear(model.project[m], x), 4)
        raw = dense.item_graph(data, f"similar_{m}")
        out.append(0.4 * dense.by_row_sums(kept) + 0.6 * raw)
    return out


def views(model, dense, graphs):
    depth = model.smooth.num_layers
    h = [dense.layers(graph, model.item.weight, depth)[-1] for graph in graphs]
    return h, dense.attention(model.fuse, h)


def embeddings(model, data, dense, h):
    edge_index = data["user", "interacts", "item"].edge_index
    spell = dense.user_item if model.fidelity == "paper" else dense.with_loops
    e = torch.cat([model.user.weight, model.item.weight])
    z = sum(dense.layers(spell(edge_index, 9, 14), e, 2)) / 3
    return z[:9], z[9:] + dense.unit_rows(h)


def contrast(x, y, dense):
    """Every item against all others of both views, at temperature 0.5."""
    x, y = dense.unit_rows(x), dense.unit_rows(y)
    across, within = torch.exp(x @ y.T / 0.5), torch.exp(x @ x.T / 0.5)
    below = across.sum(dim=1) + within.sum(dim=1) - within.diagonal()
    return -torch.log(across.diagonal() / below).mean()


def terms(model, data, batch, dense, graphs):
    each, h = views(model, dense, graphs)
    z_user, z_item = embeddings(model, data, dense, h)
    rows = z_user[batch.user], z_item[batch.pos_item], z_item[batch.neg_item]
    size = 11 if model.fidelity == "paper" else 2048
    return {
        "bpr": dense.bpr(z_user, z_item, batch),
        "reg": 0.3 * sum((r**2).sum() for r in rows) / 2 / size,
        "contrast": 0.2 * sum(contrast(view, h, dense) for view in each),
    }


@pytest.mark.parametrize("num_item_layers", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 3])
@each_fidelity
def test_first_batch_equals_a_dense_reference_with_all_gradients(
    catalogue,
    batch,
    dense,
    agree,
    randomise,
    first_epoch,
    fidelity,
    count,
    num_item_layers,
):
    data = catalogue(dict(list(WIDTHS.items())[:count]))
    model = randomise(make(data, fidelity, num_item_layers=num_item_layers))
    data = first_epoch(model, data)
    expected = terms(model, data, batch, dense, dense_graphs(model, data, dense))
    agree(model, model.loss(data, batch), expected, rel=1e-10)


@each_fidelity
def test_other_batches_equal_it_with_constant_graphs(
    catalogue, batch, dense, agree, randomise, first_epoch, fidelity
):
    data = catalogue(WIDTHS)
    model = randomise(make(data, fidelity))
    data = first_epoch(model, data)
    model.loss(data, batch)
    graphs = [graph.detach() for graph in dense_graphs(model, data, dense)]
    agree(model, model.loss(data, batch), terms(model, data, batch, dense, graphs))


@each_fidelity
def test_evaluation_equals_it_too(catalogue, dense, randomise, fidelity):
    data = catalogue(WIDTHS)
    model = randomise(make(data, fidelity)).eval()
    data = model.prepare(data)
    _, h = views(model, dense, dense_graphs(model, data, dense))
    expected = embeddings(model, data, dense, h)
    for mine, other in zip(model.encode(data), expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


def test_without_weight_there_is_no_contrast(catalogue, batch, first_epoch):
    data = catalogue(WIDTHS)
    model = make(data, contrast_weight=0.0)
    assert list(model.loss(first_epoch(model, data), batch)) == ["bpr", "reg"]


def test_temperature_out_of_range_is_refused(catalogue):
    with pytest.raises(
        ValueError, match=r"'contrast_temperature' must be above 0 \(got 0"
    ):
        make(catalogue(WIDTHS), contrast_temperature=0.0)
