from __future__ import annotations

import pytest
import torch

from mmgraph.models import build_model

WIDTHS = {"visual": 6, "textual": 4, "audio": 3}
FIDELITIES = ["paper", "released"]
OPTIONS = {"embedding_dim": 5, "k": 4, "raw_weight": 0.6, "reg_weight": 0.3}

each_fidelity = pytest.mark.parametrize("fidelity", FIDELITIES)


def make(data, fidelity="paper", **options):
    return build_model("LATTICE", data, fidelity=fidelity, **(OPTIONS | options))


def dense_graph(model, data, dense):
    """The whole 14 x 14 matrix."""
    e = torch.exp(model.modality_logits)
    alpha, raw, kept = e / e.sum(), [], []
    for m in model.dims:
        x = data["item"][f"x_{m}"] if model.fidelity == "paper" else model.features[m]
        kept.append(dense.nearest_cosines(dense.linear(model.project[m], x), 4))
        raw.append(dense.item_graph(data, f"similar_{m}"))
    if model.fidelity == "paper":
        learned = sum(
            a * dense.by_row_sums(w) for a, w in zip(alpha, kept, strict=True)
        )
    else:
        learned = dense.by_row_sums(
            sum(a * w for a, w in zip(alpha, kept, strict=True))
        )
    frozen = sum(a * s for a, s in zip(alpha, raw, strict=True))
    return 0.4 * learned + 0.6 * frozen


def embeddings(model, data, dense, graph):
    edge_index = data["user", "interacts", "item"].edge_index
    spell = dense.user_item if model.fidelity == "paper" else dense.with_loops
    e = torch.cat([model.user.weight, model.item.weight])
    z = sum(dense.layers(spell(edge_index, 9, 14), e, 2)) / 3
    h = dense.layers(graph, model.item.weight, model.smooth.num_layers)[-1]
    return z[:9], z[9:] + dense.unit_rows(h)


def terms(model, data, batch, dense, graph):
    z_user, z_item = embeddings(model, data, dense, graph)
    rows = z_user[batch.user], z_item[batch.pos_item], z_item[batch.neg_item]
    size = 11 if model.fidelity == "paper" else 2048
    return {
        "bpr": dense.bpr(z_user, z_item, batch),
        "reg": 0.3 * sum((r**2).sum() for r in rows) / 2 / size,
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
    expected = terms(model, data, batch, dense, dense_graph(model, data, dense))
    agree(model, model.loss(data, batch), expected, rel=1e-10)


@each_fidelity
def test_other_batches_equal_it_with_a_constant_graph(
    catalogue, batch, dense, agree, randomise, first_epoch, fidelity
):
    data = catalogue(WIDTHS)
    model = randomise(make(data, fidelity))
    data = first_epoch(model, data)
    model.loss(data, batch)
    graph = dense_graph(model, data, dense).detach()
    agree(model, model.loss(data, batch), terms(model, data, batch, dense, graph))


@each_fidelity
def test_evaluation_equals_it_too(catalogue, dense, randomise, fidelity):
    data = catalogue(WIDTHS)
    model = randomise(make(data, fidelity)).eval()
    data = model.prepare(data)
    expected = embeddings(model, data, dense, dense_graph(model, data, dense))
    for mine, other in zip(model.encode(data), expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


def test_logits_start_equal_and_have_a_gradient(catalogue, batch, first_epoch):
    data = catalogue(WIDTHS)
    model = make(data)
    assert torch.equal(model.modality_logits, torch.full((3,), 1 / 3))
    model.loss(first_epoch(model, data), batch)["bpr"].backward()
    assert (model.modality_logits.grad.abs() > 1e-9).all()


def test_forms_differ_only_where_modalities_meet(catalogue, dense, randomise):
    """With one modality, normalising before and after the sum are the same."""
    data = catalogue({"visual": 6})
    graphs = []
    for fidelity in FIDELITIES:
        torch.manual_seed(1)
        model = make(data, fidelity)
        ((edge_index, weight),) = model.item_graphs(model.prepare(data))
        matrix = torch.zeros(14, 14)
        index = (edge_index[1], edge_index[0])
        graphs.append(matrix.index_put(index, weight.detach(), accumulate=True))
    torch.testing.assert_close(*graphs, rtol=1e-10, atol=1e-12)
