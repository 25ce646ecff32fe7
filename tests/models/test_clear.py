from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from mmgraph.models import CLEAR, build_model

WIDTHS = {"visual": 6, "textual": 4}
INTERACTS = ("user", "interacts", "item")


def make(data, **options):
    options = {
        "embedding_dim": 5,
        "hidden_dim": 7,
        "rank": 2,
        "strength": 0.7,
        "reg_weight": 0.3,
        "edge_drop": 0.3,
    } | options
    return build_model("CLEAR", data, **options)


def encoded(model, data, dense):
    """``V`` and ``T``: two linear layers with a leaky ReLU between."""
    return {
        m: dense.linear(
            encoder.second,
            dense.leaky(dense.linear(encoder.first, data["item"][f"x_{m}"])),
        )
        for m, encoder in model.encoders.items()
    }


def singular_vectors(z):
    """Of the cross-covariance of two tables of item embeddings, by NumPy."""
    v, t = (x.detach().numpy() for x in z.values())
    cov = (v - v.mean(0)).T @ (t - t.mean(0)) / len(v)
    u, _, w_t = np.linalg.svd(cov)
    return dict(zip(z, (torch.from_numpy(u), torch.from_numpy(w_t.T)), strict=True))


def dropped_pairs(model):
    source, target = model.dropped_graphs["visual"].edge_index()
    to_item = target >= 9
    return torch.stack([source[to_item], target[to_item] - 9])


def reference(
    model, data, dense, bases, edge_index, *, strength, num_layers=2, late=False
):
    """Algorithm 1, lines 10-14; ``late`` projects after the normalisation instead."""
    matrix = dense.user_item(edge_index, 9, 14)
    h = []
    for m, z in encoded(model, data, dense).items():
        basis = bases[m][:, :2]
        projector = torch.eye(5) - strength * basis @ basis.T
        preference = model.gcn.propagate.preference[m]
        if late:
            x = dense.unit_rows(torch.cat([preference, z]))
            x = torch.cat([x[:9], x[9:] @ projector])
        else:
            x = dense.unit_rows(torch.cat([preference, z @ projector]))
        h.append(sum(dense.layers(matrix, x, num_layers)))
    weight = model.gcn.fuse_users.weight
    if model.gcn.fuse_users.mode == "softmax":
        weight = weight.exp() / weight.exp().sum(dim=1, keepdim=True)
    z_user = torch.cat([weight[:, m] * x[:9] for m, x in enumerate(h)], dim=1)
    z_item = torch.cat([x[9:] for x in h], dim=1)
    return z_user, z_item + dense.item_graph(data) @ z_item


def penalty(model, batch):
    """Means of squares over the batch's preferences and over all user weights."""
    parts = [*model.gcn.propagate.preference.values()]
    squares = [(p[batch.user] ** 2).sum() / (len(batch.user) * 5) for p in parts]
    weight = model.gcn.fuse_users.weight
    return sum(squares) + (weight**2).sum() / weight.numel()


@pytest.fixture
def started(catalogue, randomise, first_epoch):
    """A model away from its start, in its first epoch, and its prepared data."""

    def start(widths=WIDTHS, **options):
        data = catalogue(widths)
        model = randomise(make(data, **options))
        return model, first_epoch(model, data)

    return start


@pytest.mark.parametrize(
    "options",
    [{}, {"strength": 1.0}, {"num_layers": 3}, {"user_weights": "softmax"}],
    ids=str,
)
def test_loss_and_gradients_equal_a_dense_reference(
    started, batch, dense, agree, options
):
    model, data = started(**options)
    bases = singular_vectors(encoded(model, data, dense))
    z_user, z_item = reference(
        model,
        data,
        dense,
        bases,
        dropped_pairs(model),
        strength=options.get("strength", 0.7),
        num_layers=options.get("num_layers", 2),
    )
    expected = {
        "bpr": dense.bpr(z_user, z_item, batch),
        "reg": 0.3 * penalty(model, batch),
    }
    agree(model, model.loss(data, batch), expected)


def test_projection_comes_before_the_normalisation(started, dense):
    model, data = started()
    model.eval()
    bases = singular_vectors(encoded(model, data, dense))
    edges = data[INTERACTS].edge_index
    early, late = (
        reference(model, data, dense, bases, edges, strength=0.7, late=late)[1]
        for late in (False, True)
    )
    torch.testing.assert_close(model.encode(data)[1], early, rtol=1e-9, atol=1e-11)
    assert (early - late).abs().max() > 0.05  # the test can tell


def test_evaluation_uses_every_edge_and_the_last_directions(started, dense):
    model, data = started()
    bases = singular_vectors(encoded(model, data, dense))
    with torch.no_grad():  # as a step would, after the refresh
        model.encoders["visual"].second.weight.mul_(1.5).add_(0.1)
    model.eval()
    edges = data[INTERACTS].edge_index
    expected = reference(model, data, dense, bases, edges, strength=0.7)
    for mine, other in zip(model.encode(data), expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("every", [1, 3])
def test_directions_are_refreshed_at_epoch_starts_only(started, batch, every):
    model, data = started(refresh_every=every)
    history = []
    for epoch in range(1, 8):
        model.start_epoch(data, epoch, torch.Generator().manual_seed(0))
        at_start = model.project.basis_visual.clone()
        torch.stack(list(model.loss(data, batch).values())).sum().backward()
        with torch.no_grad():
            for p in model.encoders.parameters():
                p.sub_(p.grad + 0.1 * torch.randn_like(p))
        model.eval()
        model.encode(data)
        model.train()
        assert torch.equal(model.project.basis_visual, at_start)
        history.append(at_start)
    changed = [
        epoch
        for epoch in range(2, 8)
        if not torch.equal(history[epoch - 1], history[epoch - 2])
    ]
    assert changed == [epoch for epoch in range(2, 8) if epoch % every == 0]
    assert model.project.refreshed_at == max(changed)


def test_strength_0_is_the_model_without_a_projection_bit_for_bit(started, batch):
    model, data = started(strength=0.0)
    bare = copy.deepcopy(model)
    bare.project = torch.nn.Identity()
    terms, other = model.loss(data, batch), bare.loss(data, batch)
    for system, loss in ((model, terms), (bare, other)):
        torch.stack(list(loss.values())).sum().backward()
        system.eval()
    assert all(torch.equal(terms[name], other[name]) for name in terms)
    pairs = zip(model.parameters(), bare.parameters(), strict=True)
    assert all(torch.equal(a.grad, b.grad) for a, b in pairs)
    assert all(map(torch.equal, model.encode(data), bare.encode(data)))


@pytest.mark.parametrize("strength", [0.0, 0.4, 1.0])
def test_gradients_along_shared_directions_are_scaled(started, batch, strength):
    model, data = started(strength=strength)
    basis = {m: model.project.get_buffer(f"basis_{m}") for m in WIDTHS}
    z = {
        m: x.detach().requires_grad_()
        for m, x in model._encode_modalities(data).items()
    }
    projected = {m: x.detach().requires_grad_() for m, x in model.project(z).items()}

    def gradients(leaves, project):
        system = copy.copy(model)
        system._modules = dict(model._modules)
        system.project = project
        system.encode_modalities = lambda data, items=None: leaves
        return torch.autograd.grad(
            system.loss(data, batch)["bpr"], list(leaves.values())
        )

    inner = gradients(z, model.project)
    outer = gradients(projected, torch.nn.Identity())
    for m, g_in, g_out in zip(WIDTHS, inner, outer, strict=True):
        along = g_out @ basis[m]
        assert along.abs().max() > 1e-4
        torch.testing.assert_close(
            g_in @ basis[m], (1 - strength) * along, rtol=1e-9, atol=1e-12
        )
        rest_in = g_in - (g_in @ basis[m]) @ basis[m].T
        rest_out = g_out - along @ basis[m].T
        torch.testing.assert_close(rest_in, rest_out, rtol=1e-9, atol=1e-12)


def test_directions_are_saved_with_the_state_and_score_alike(started, catalogue):
    model, data = started()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    assert {"project.basis_visual", "project.basis_textual"} <= state.keys()
    other = make(data)
    other.load_state_dict(state)
    model.eval(), other.eval()
    assert all(map(torch.equal, model.encode(data), other.encode(data)))
    assert other.project.refreshed_at == 1


def test_masked_items_have_no_part_in_the_directions(
    catalogue, dense, randomise, first_epoch
):
    data = catalogue(WIDTHS)
    data["item"].mask_visual = torch.arange(14) != 4
    model = randomise(make(data))
    first_epoch(model, data)
    kept = [i for i in range(14) if i != 4]
    z = {m: x[kept] for m, x in encoded(model, data, dense).items()}
    for m, basis in singular_vectors(z).items():
        mine = model.project.get_buffer(f"basis_{m}")
        torch.testing.assert_close(
            mine @ mine.T, basis[:, :2] @ basis[:, :2].T, rtol=1e-8, atol=1e-10
        )


def test_without_edge_drop_training_and_evaluation_see_one_graph(started):
    model, data = started(edge_drop=0.0)
    assert model.dropped_graphs is None
    training = model.encode(data)
    model.eval()
    assert all(map(torch.equal, training, model.encode(data)))


def test_edge_drop_keeps_its_share_of_the_edges(started):
    model, data = started(edge_drop=0.3)
    everything = set(map(tuple, data[INTERACTS].edge_index.T.tolist()))
    kept = set(map(tuple, dropped_pairs(model).T.tolist()))
    assert kept < everything
    assert len(kept) == 28  # of 40


def test_energy_chooses_the_smallest_rank_that_holds_the_share(started, dense):
    model, data = started(energy=0.9)
    v, t = (x.detach() for x in encoded(model, data, dense).values())
    cov = (v - v.mean(0)).T @ (t - t.mean(0)) / 14
    share = (np.linalg.svd(cov.numpy())[1] ** 2).cumsum()
    expected = int((share / share[-1] < 0.9).sum()) + 1
    assert model.project.basis_visual.size(1) == expected


def test_one_modality_has_nothing_to_project(started, dense):
    model, data = started({"visual": 6})
    assert model.project.modalities == []
    model.eval()
    bases = {"visual": torch.zeros(5, 2)}
    edges = data[INTERACTS].edge_index
    expected = reference(model, data, dense, bases, edges, strength=0.7)
    for mine, other in zip(model.encode(data), expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-11)


def test_encoders_start_xavier_normal_with_zero_biases(catalogue):
    data = catalogue({"visual": 300, "textual": 100})
    model = make(data, embedding_dim=64, hidden_dim=256)
    for encoder, width in zip(model.encoders.values(), (300, 100), strict=True):
        expected = (2 / (width + 256)) ** 0.5
        assert encoder.first.weight.std().item() == pytest.approx(expected, rel=0.03)
        assert not encoder.first.bias.any()
        assert not encoder.second.bias.any()


def test_bad_options_are_refused(catalogue):
    data = catalogue(WIDTHS)
    for options, message in (
        ({"edge_drop": 1.0}, r"'edge_drop' must be in \[0, 1\) \(got 1"),
        ({"strength": 1.5}, r"'strength' must be in \[0, 1\] \(got 1.5"),
        ({"rank": -1}, r"'rank' must be at least 0 \(got -1"),
        ({"rank": 6}, r"'rank' must be in \[0, 5\] \(got 6"),
        ({"edge_drop_by": "age"}, r"'edge_drop_by' must be .* \(got 'age'\)"),
        ({"user_weights": "fixed"}, "'user_weights' must be one of"),
        ({"init": "zero"}, "'init' must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            make(data, **options)


def test_energy_makes_the_rank_free(catalogue):
    """The share of the energy replaces ``rank``, so its default may be too large."""
    data = catalogue(WIDTHS)
    assert build_model("CLEAR", data, embedding_dim=5, energy=0.9).project.energy == 0.9


def test_options_that_do_not_go_together_name_the_system():
    sizes = (3, 5, {"visual": 16, "textual": 8})
    for options, message in (
        ({"rank": 65}, r"^CLEAR: 'rank' must be in \[0, 64\] \(got 65\) - lower it$"),
        ({"sides": "x"}, r"^CLEAR: 'sides' must be 'both' or one of 'visual', 'text"),
    ):
        with pytest.raises(ValueError, match=message):
            CLEAR(*sizes, **options)


def hidden_tables(model, data, dense, edges, projector=None):
    """Users and items after the propagation, by modality, without the package."""
    tables = {}
    for m, z in encoded(model, data, dense).items():
        preference = model.gcn.propagate.preference[m]
        x = dense.unit_rows(torch.cat([preference, z]))
        matrix = dense.user_item(edges[m], 9, 14)
        tables[m] = sum(dense.layers(matrix, x, 2))
    return tables


def same_edges(data):
    return dict.fromkeys(WIDTHS, data[INTERACTS].edge_index)


def test_modalities_may_be_added_up(started, batch, dense, agree):
    model, data = started(strength=0.0, edge_drop=0.0, fuse="sum")
    tables = hidden_tables(model, data, dense, same_edges(data)).values()
    weight = model.gcn.fuse_users.weight
    z_user = sum(weight[:, m] * x[:9] for m, x in enumerate(tables))
    z_item = sum(x[9:] for x in tables)
    z_item = z_item + dense.item_graph(data) @ z_item
    expected = {
        "bpr": dense.bpr(z_user, z_item, batch),
        "reg": 0.3 * penalty(model, batch),
    }
    agree(model, model.loss(data, batch), expected)
    assert [z.size(1) for z in model.encode(data)] == [5, 5]


def test_the_penalty_may_be_on_the_hidden_tables(started, batch, dense, agree):
    model, data = started(strength=0.0, edge_drop=0.0, reg_on="hidden")
    tables = hidden_tables(model, data, dense, same_edges(data))
    bases = singular_vectors(encoded(model, data, dense))
    edges = data[INTERACTS].edge_index
    z_user, z_item = reference(model, data, dense, bases, edges, strength=0.0)
    weight = model.gcn.fuse_users.weight
    squares = [(x[batch.user] ** 2).mean() for x in tables.values()]
    expected = {
        "bpr": dense.bpr(z_user, z_item, batch),
        "reg": 0.3 * (sum(squares) + (weight**2).mean()),
    }
    agree(model, model.loss(data, batch), expected)


def test_items_may_lose_the_edges_of_one_modality(started, batch, dense, agree):
    model, data = started(strength=0.0, edge_drop=0.5, edge_drop_by="item-modality")
    whole = {tuple(pair) for pair in data[INTERACTS].edge_index.T.tolist()}
    left, lost = {}, {}
    for m, graph in model.dropped_graphs.items():
        source, target = graph.edge_index()
        pairs = zip(source.tolist(), target.tolist(), strict=True)
        kept = {(u, i - 9) for u, i in pairs if u < 9 <= i}
        assert kept <= whole
        left[m] = torch.tensor(sorted(kept)).T
        lost[m] = {i for _, i in whole - kept}
        # An item loses all its edges or none.
        assert not lost[m] & {i for _, i in kept}
    # Of the 7 drawn items a third loses one, a third the other, a third none.
    known = {i for _, i in whole}
    assert not lost["visual"] & lost["textual"]
    assert all(0 < len(items) <= 3 for items in lost.values())
    assert len(lost["visual"] | lost["textual"]) <= 5 < len(known)
    tables = hidden_tables(model, data, dense, left)
    weight = model.gcn.fuse_users.weight
    z_user = torch.cat(
        [weight[:, m] * x[:9] for m, x in enumerate(tables.values())], dim=1
    )
    z_item = torch.cat([x[9:] for x in tables.values()], dim=1)
    z_item = z_item + dense.item_graph(data) @ z_item
    expected = {
        "bpr": dense.bpr(z_user, z_item, batch),
        "reg": 0.3 * penalty(model, batch),
    }
    agree(model, model.loss(data, batch), expected)


def test_the_items_of_a_modality_are_drawn_anew_in_each_epoch(started):
    model, data = started(edge_drop=0.5, edge_drop_by="item-modality")
    first = dropped_pairs(model)
    model.start_epoch(data, 2, torch.Generator().manual_seed(9))
    assert dropped_pairs(model).tolist() != first.tolist()


def test_the_item_graph_may_be_built_of_projected_features(catalogue):
    data = catalogue(WIDTHS)
    projected = copy.copy(data)
    visual, textual = (data["item"][f"x_{m}"].numpy() for m in WIDTHS)
    u, w = singular_vectors(
        {"visual": torch.from_numpy(visual), "textual": torch.from_numpy(textual)}
    ).values()
    for m, x, basis in (("visual", visual, u), ("textual", textual, w)):
        basis = basis[:, :2].numpy()
        projected["item"][f"x_{m}"] = torch.from_numpy(x - 0.6 * x @ basis @ basis.T)
    options = {"k": 4, "strength": 0.0}
    own = make(data, graph_rank=2, graph_strength=0.6, **options)
    graph = own.add_graphs(data)["item", "similar", "item"]
    expected = make(projected, **options).add_graphs(projected)
    other = expected["item", "similar", "item"]
    assert graph.edge_index.tolist() == other.edge_index.tolist()
    torch.testing.assert_close(graph.edge_weight, other.edge_weight)
    plain = make(data, **options).add_graphs(data)["item", "similar", "item"]
    assert plain.edge_index.tolist() != graph.edge_index.tolist()
    assert own.add_graphs(data)["item"].x_visual is data["item"].x_visual
    with pytest.raises(ValueError, match=r"CLEAR: 'graph_rank' must be in \[0, 4\]"):
        make(data, graph_rank=5)


@pytest.mark.parametrize(
    "options",
    [{"energy": 0.9, "penalty": 0.1}, {"penalty": 0.1, "effective_rank": True}],
)
def test_one_rule_chooses_the_rank(catalogue, options):
    one, other = options
    with pytest.raises(ValueError, match=f"CLEAR: '{one}' and '{other}' both choose"):
        make(catalogue(WIDTHS), **options)


@pytest.mark.parametrize(
    "options",
    [
        *({"penalty": 0.05}, {"effective_rank": True}, {"directions": "canonical"}),
        {"stop_gradient": True},
    ],
)
def test_the_projection_gets_its_options(started, options):
    model, data = started(rank=2, **options)
    for name, value in options.items():
        assert getattr(model.project, name) == value
    _, z_item = model.encode(data)
    assert bool(z_item.isfinite().all())
