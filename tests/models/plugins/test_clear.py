from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.models import build_model
from mmgraph.models.plugins.clear import CLEARPlugin

WIDTHS = {"visual": 8, "textual": 6}
HOSTS = ["VBPR", "FREEDOM"]
SIMILAR = ("item", "similar", "item")


def make(host, data, plugin=None, **options):
    torch.manual_seed(4)
    options = {"embedding_dim": 6, "reg_weight": 0.3} | options
    if host == "FREEDOM":
        options = {"k": 3, "edge_drop": 0.5} | options
    return build_model(host, data, plugin=plugin, **options)


def projectors(tables, rank, strength):
    """``I - s U U^T`` of each table, by NumPy's singular vectors."""
    v, t = (x.detach().numpy() for x in tables.values())
    u, _, w_t = np.linalg.svd((v - v.mean(0)).T @ (t - t.mean(0)) / len(v))
    out = {}
    for name, basis in zip(tables, (u[:, :rank], w_t.T[:, :rank]), strict=True):
        matrix = np.eye(len(basis)) - strength * basis @ basis.T
        out[name] = torch.from_numpy(matrix)
    return out


def backward(terms):
    torch.stack(list(terms.values())).sum().backward()


@pytest.mark.parametrize(
    ("host", "where"),
    [("VBPR", "encoder"), ("FREEDOM", "encoder"), ("FREEDOM", "graph")],
)
def test_clear_at_strength_0_is_the_bare_host_bit_for_bit(
    catalogue, batch, first_epoch, host, where
):
    data = catalogue(WIDTHS)
    models = [
        make(host, data),
        make(host, data, "clear", rank=2, strength=0.0, where=where),
    ]
    losses, embeddings = [], []
    for model in models:
        prepared = first_epoch(model, data)
        losses.append(model.training_loss(prepared, batch))
        backward(losses[-1])
        model.eval()
        embeddings.append(model.encode(prepared))
    assert losses[0].keys() == losses[1].keys()
    assert all(torch.equal(losses[0][name], losses[1][name]) for name in losses[0])
    assert all(map(torch.equal, *embeddings))
    pairs = zip(*(model.named_parameters() for model in models), strict=True)
    for (name, a), (other, b) in pairs:
        assert name == other
        assert torch.equal(a.grad, b.grad)


def test_clear_on_vbpr_projects_each_summand_of_the_content(
    catalogue, batch, dense, agree, randomise, first_epoch
):
    data = catalogue(WIDTHS)
    model = randomise(
        make("VBPR", data, "clear", rank=2, strength=0.7, fidelity="released")
    )
    first_epoch(model, data)
    z = {m: data["item"][f"x_{m}"] @ model.project[m].weight.T for m in WIDTHS}
    matrices = projectors(z, 2, 0.7)
    content = sum(z[m] @ matrices[m] for m in WIDTHS) + model.bias
    item = torch.cat([model.item.weight, content], dim=1)
    expected = {"bpr": dense.bpr(model.user.weight, item, batch)}
    agree(model, {"bpr": model.training_loss(data, batch)["bpr"]}, expected)
    model.eval()
    _, z_item = model.encode(data)
    torch.testing.assert_close(z_item, item, rtol=1e-9, atol=1e-11)


def test_clear_on_freedom_projects_the_feature_terms_and_only_them(
    catalogue, batch, dense, agree, randomise, first_epoch
):
    data = catalogue(WIDTHS)
    model = randomise(make("FREEDOM", data, "clear", rank=2, strength=0.7))
    data = first_epoch(model, data)
    z = {m: dense.linear(model.project[m], data["item"][f"x_{m}"]) for m in WIDTHS}
    matrices = projectors(z, 2, 0.7)
    z_user, z_item = model.encode(data)
    expected = {"bpr": dense.bpr(z_user, z_item, batch)}
    for m in WIDTHS:
        expected[f"bpr_{m}"] = 0.3 * dense.bpr(z_user, z[m] @ matrices[m], batch)
    agree(model, model.training_loss(data, batch), expected)


def test_clear_in_the_graph_projects_the_raw_features_before_the_search(catalogue):
    data = catalogue(WIDTHS)
    model = make("FREEDOM", data, "clear", where="graph", rank=2, strength=0.8)
    raw = {m: data["item"][f"x_{m}"] for m in WIDTHS}
    matrices = projectors(raw, 2, 0.8)
    expected = torch.zeros(14, 14)
    for m, share in (("visual", 0.1), ("textual", 0.9)):
        x = (raw[m] @ matrices[m]).tolist()
        for i in range(14):
            cosine = [
                sum(a * b for a, b in zip(x[i], x[j], strict=True))
                / (math.hypot(*x[i]) * math.hypot(*x[j]))
                for j in range(14)
            ]
            for j in sorted(range(14), key=lambda j, c=cosine: -c[j])[:3]:
                expected[i, j] += share / 3
    prepared = model.add_graphs(data)
    graph, matrix = prepared[SIMILAR], torch.zeros(14, 14)
    matrix[graph.edge_index[1], graph.edge_index[0]] = graph.edge_weight.double()
    torch.testing.assert_close(matrix, expected, rtol=1e-6, atol=1e-9)
    bare = make("FREEDOM", data).add_graphs(data)[SIMILAR].edge_index
    assert not torch.equal(graph.edge_index, bare)  # the test can tell


def test_clear_in_the_graph_changes_the_graph_and_only_it(
    catalogue, batch, first_epoch
):
    data = catalogue(WIDTHS)
    bare = make("FREEDOM", data)
    model = make("FREEDOM", data, "clear", where="graph", rank=2, strength=0.8)
    prepared = model.add_graphs(data)
    assert all(prepared["item"][f"x_{m}"] is data["item"][f"x_{m}"] for m in WIDTHS)
    assert list(model.state_dict()) == list(bare.state_dict())
    # On one and the same graph the two are one model.
    first_epoch(model, prepared), first_epoch(bare, prepared)
    mine = model.training_loss(prepared, batch)
    other = bare.training_loss(prepared, batch)
    assert all(torch.equal(mine[name], other[name]) for name in other)


def test_clear_in_the_graph_may_have_a_rank_beyond_the_embeddings(catalogue):
    """There the features are projected, whose widths are their own."""
    data = catalogue({"visual": 12, "textual": 10})
    model = make("FREEDOM", data, "clear", where="graph", rank=9)
    assert ("item", "similar", "item") in model.add_graphs(data).edge_types


def test_clear_refreshes_before_the_epochs_it_should(catalogue, randomise):
    data = catalogue(WIDTHS)
    model = make("VBPR", data, "clear", rank=2, refresh_every=3)
    seen = []
    for epoch in range(1, 8):
        randomise(model)
        model.start_epoch(data, epoch, torch.Generator())
        seen.append(int(model.plugin.projection.refreshed_at))
    assert seen == [1, 1, 3, 3, 3, 6, 6]


@pytest.mark.parametrize("host", ["CLEAR", *HOSTS])
def test_epochs_with_a_refresh_have_measures_and_no_others(catalogue, randomise, host):
    data = catalogue(WIDTHS)
    options = {"rank": 2, "refresh_every": 3}
    model = make(host, data, None if host == "CLEAR" else "clear", **options)
    data, seen = model.add_graphs(data), {}
    for epoch in range(1, 8):
        randomise(model)
        model.start_epoch(data, epoch, torch.Generator().manual_seed(0))
        seen[epoch] = model.all_epoch_measures(epoch)
    assert [epoch for epoch, found in seen.items() if found] == [1, 3, 6]
    assert {name for name in seen[6] if name not in seen[1]} == {
        "visual/affinity",
        "textual/affinity",
    }
    assert seen[3] != seen[6]


def test_what_refreshes_nothing_measures_nothing(catalogue):
    data = catalogue(WIDTHS)
    bare = make("VBPR", data)
    graph = make("FREEDOM", data, "clear", where="graph", rank=2)
    for model in (bare, graph):
        prepared = model.add_graphs(data)
        model.start_epoch(prepared, 1, torch.Generator().manual_seed(0))
        assert model.all_epoch_measures(1) == {}


def test_clear_saves_its_directions_with_the_host(catalogue, first_epoch):
    data = catalogue(WIDTHS)
    model = make("VBPR", data, "clear", rank=2)
    first_epoch(model, data)
    other = make("VBPR", data, "clear", rank=2)
    other.load_state_dict({k: v.clone() for k, v in model.state_dict().items()})
    model.eval(), other.eval()
    assert "plugin.projection.basis_visual" in model.state_dict()
    assert all(map(torch.equal, model.encode(data), other.encode(data)))


def test_refresh_puts_the_mode_back_and_leaves_no_gradient(catalogue, monkeypatch):
    data = catalogue(WIDTHS)
    model = make("VBPR", data, "clear", rank=2)
    encode, modes = model._encode_modalities, []

    def spy(data, items=None):
        modes.append((model.training, torch.is_grad_enabled()))
        return encode(data, items)

    monkeypatch.setattr(model, "_encode_modalities", spy)
    for training in (True, False):
        model.train(training)
        model.start_epoch(data, 1, torch.Generator())
        assert model.training is training
    assert modes == [(False, False)] * 2
    assert not model.plugin.projection.basis_visual.requires_grad


@pytest.mark.parametrize(
    "option",
    [
        *({"sides": "visual"}, {"energy": 0.9}, {"refresh_every": 2}),
        *({"penalty": 0.1}, {"effective_rank": True}, {"center_output": True}),
        *({"directions": "canonical"}, {"stop_gradient": True}),
    ],
)
def test_clear_in_the_graph_refuses_options_of_the_encoder(option):
    name = next(iter(option))
    with pytest.raises(ValueError, match=f"'{name}' belongs to where='encoder'"):
        CLEARPlugin(WIDTHS, rank=2, where="graph", **option)


def test_clear_refuses_an_unknown_place():
    with pytest.raises(
        UserError, match=r"'where' must be one of 'encoder', 'graph' \(got 'x'\)"
    ):
        CLEARPlugin(WIDTHS, where="x")


def test_clear_refuses_a_rank_beyond_the_widths_at_construction():
    with pytest.raises(ValueError, match=r"'rank' must be in \[0, 6\] \(got 7"):
        CLEARPlugin(WIDTHS, rank=7)


@pytest.mark.parametrize(
    ("host", "options"), [("CLEAR", {}), ("VBPR", {}), ("FREEDOM", {"where": "graph"})]
)
def test_with_one_modality_it_says_once_that_nothing_is_projected(
    catalogue, caplog, host, options
):
    data, plugin = catalogue({"visual": 8}), None if host == "CLEAR" else "clear"
    silent = [
        make(host, data, plugin, rank=2, strength=0.0),
        make(host, catalogue(WIDTHS), plugin, rank=2, **options),
    ]
    for model in [*silent, make(host, data, plugin, rank=2, **options)]:
        assert "CLEAR changes nothing" not in caplog.text
        of = data if model.modality_dims().keys() == {"visual"} else catalogue(WIDTHS)
        for epoch in range(1, 4):
            model.start_epoch(of, epoch, torch.Generator().manual_seed(0))
    assert caplog.text.count("visual is the only modality, so nothing is shared") == 1


@pytest.mark.parametrize(
    ("host", "options"),
    [("CLEAR", {}), ("VBPR", {}), ("FREEDOM", {}), ("FREEDOM", {"where": "graph"})],
)
def test_where_no_item_has_both_modalities_it_says_once_that_it_changes_nothing(
    catalogue, batch, caplog, host, options
):
    data, plugin = catalogue(WIDTHS), None if host == "CLEAR" else "clear"
    data["item"].mask_visual = torch.arange(14) < 5
    data["item"].mask_textual = ~data["item"].mask_visual
    results = []
    for strength in (0.0, 1.0):
        model = make(host, data, plugin, rank=2, strength=strength, **options)
        ready = model.add_graphs(data)
        for epoch in range(1, 4):
            model.start_epoch(ready, epoch, torch.Generator().manual_seed(0))
        torch.manual_seed(5)
        results.append(model.training_loss(ready, batch))
    for term, value in results[0].items():
        assert torch.equal(value, results[1][term])
    expected = "CLEAR: no item has two of visual, textual, so nothing is shared and CLE"
    assert caplog.text.count(expected) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 7}, r"^CLEARPlugin: 'rank' must be in \[0, 6\] \(got 7\) - lower it"),
        ({"rank": 2, "sides": "x"}, "^CLEARPlugin: 'sides' must be 'both' or one of"),
        (
            {"rank": 2, "where": "graph", "energy": 0.5},
            "^CLEARPlugin: 'energy' belongs",
        ),
    ],
)
def test_a_refusal_of_options_together_names_the_plugin(options, message):
    with pytest.raises(UserError, match=message):
        CLEARPlugin(WIDTHS, **options)


def test_a_hosts_maps_get_no_gradient_along_the_shared_directions(
    catalogue, batch, randomise, first_epoch
):
    data = catalogue(WIDTHS)
    options = {"rank": 2, "strength": 0.5, "fidelity": "released", "reg_weight": 0.0}
    grown = {}
    for stop in (False, True):
        model = make("VBPR", data, "clear", stop_gradient=stop, **options)
        first_epoch(randomise(model), data)
        backward(model.training_loss(data, batch))
        basis = model.plugin.projection.basis_visual
        grown[stop] = basis.T @ model.project["visual"].weight.grad
    assert grown[False].abs().max() > 1e-6
    torch.testing.assert_close(grown[True], torch.zeros_like(grown[True]))


def test_clear_in_the_graph_counts_from_the_moment_it_is_attached(catalogue):
    data = catalogue(WIDTHS)
    expected = make("FREEDOM", data, "clear", where="graph", rank=2, strength=0.8)
    model = make("FREEDOM", data)
    without = model.add_graphs(data)[SIMILAR].edge_index
    model.attach(CLEARPlugin, where="graph", rank=2, strength=0.8)
    now = model.add_graphs(data)[SIMILAR].edge_index
    assert torch.equal(now, expected.add_graphs(data)[SIMILAR].edge_index)
    assert not torch.equal(now, without)
    model.plugin = None
    assert torch.equal(model.add_graphs(data)[SIMILAR].edge_index, without)
