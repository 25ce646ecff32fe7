"""What LATTICE and MICRO share."""

from __future__ import annotations

import pytest
import torch
from reference import graph_learner as reference
from reference.plugin import check_that_its_output_is_used

from mmgraph.data import synthetic
from mmgraph.errors import UserError
from mmgraph.models import build_model
from mmgraph.models.parts.graph_learner import nearest_items, weighted_union
from mmgraph.train import evaluate

WIDTHS = {"visual": 6, "textual": 4}
THREE = {"visual": 6, "textual": 4, "audio": 3}
SYSTEMS = ["LATTICE", "MICRO"]
FIDELITIES = ["paper", "released"]
OPTIONS = {"embedding_dim": 5, "k": 4, "raw_weight": 0.6, "reg_weight": 0.3}

each = pytest.mark.parametrize("name", SYSTEMS)
each_fidelity = pytest.mark.parametrize("fidelity", FIDELITIES)


def make(name, data, fidelity="paper", **options):
    own = {"contrast_weight": 0.2} if name == "MICRO" else {}
    return build_model(name, data, fidelity=fidelity, **(OPTIONS | own | options))


def total(model, data, batch):
    return torch.stack(list(model.loss(data, batch).values())).sum()


# Against whole matrices ----------------------------------------------------------


@pytest.mark.parametrize("num_item_layers", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 3])
@each_fidelity
@each
def test_first_batch_equals_a_dense_reference_with_all_gradients(
    catalogue,
    batch,
    dense,
    agree,
    randomise,
    first_epoch,
    name,
    fidelity,
    count,
    num_item_layers,
):
    data = catalogue(dict(list(THREE.items())[:count]))
    model = randomise(make(name, data, fidelity, num_item_layers=num_item_layers))
    data = first_epoch(model, data)
    graphs = reference.graphs(model, data, dense)
    expected = reference.terms(model, data, batch, dense, graphs)
    agree(model, model.loss(data, batch), expected, rel=1e-10)


@each_fidelity
@each
def test_other_batches_equal_it_with_constant_graphs(
    catalogue, batch, dense, agree, randomise, first_epoch, name, fidelity
):
    data = catalogue(THREE)
    model = randomise(make(name, data, fidelity))
    data = first_epoch(model, data)
    model.loss(data, batch)
    graphs = [graph.detach() for graph in reference.graphs(model, data, dense)]
    expected = reference.terms(model, data, batch, dense, graphs)
    agree(model, model.loss(data, batch), expected)


@each_fidelity
@each
def test_evaluation_equals_it_too(catalogue, dense, randomise, name, fidelity):
    data = catalogue(THREE)
    model = randomise(make(name, data, fidelity)).eval()
    data = model.add_graphs(data)
    graphs = reference.graphs(model, data, dense)
    expected = reference.embeddings(model, data, dense, graphs)
    for mine, other in zip(model.encode(data), expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


# When a graph is learned ---------------------------------------------------------


@each
@each_fidelity
def test_graph_is_learned_in_the_first_batch_of_an_epoch_alone(
    catalogue, batch, randomise, first_epoch, name, fidelity
):
    data = catalogue(WIDTHS)
    model = randomise(make(name, data, fidelity))
    for _epoch in range(2):
        data = first_epoch(model, data)
        total(model, data, batch).backward()
        assert all(p.grad.any() for p in model.graph_parameters())
        graphs = model.learned_graphs
        model.zero_grad()
        total(model, data, batch).backward()
        assert model.learned_graphs is graphs
        for p in model.graph_parameters():
            assert p.grad is None if fidelity == "paper" else not p.grad.any()
        model.zero_grad()


@each
def test_detached_graph_is_that_of_the_first_batch(
    catalogue, batch, randomise, first_epoch, name
):
    data = catalogue(WIDTHS)
    model = randomise(make(name, data))
    data = first_epoch(model, data)
    before = model.loss(data, batch)
    with torch.no_grad():
        model.project["visual"].weight.mul_(-3.0).add_(1.0)
    for term, value in model.loss(data, batch).items():
        torch.testing.assert_close(value, before[term], rtol=1e-12, atol=1e-14)
    first_epoch(model, data)
    assert abs(model.loss(data, batch)["bpr"] - before["bpr"]) > 1e-6


@each
@each_fidelity
def test_momentum_moves_the_graph_on_in_the_released_form_alone(
    catalogue, batch, randomise, first_epoch, name, fidelity
):
    data = catalogue(WIDTHS)
    model = randomise(make(name, data, fidelity))
    data = first_epoch(model, data)
    weight = model.project["visual"].weight
    start = weight.detach().clone()
    optimizer = torch.optim.Adam(model.main_parameters(), lr=1e-3)
    moved = []
    for _step in range(10):
        loss = total(model, data, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        moved.append((weight.detach() - start).abs())
    # One gradient, then nine of zeros: Adam, written out.
    distance = sum(
        (0.1 * 0.9**t / (1 - 0.9 ** (t + 1)))
        / (0.001 * 0.999**t / (1 - 0.999 ** (t + 1))) ** 0.5
        for t in range(10)
    )
    assert distance == pytest.approx(4.2, abs=0.05)
    ratio = distance if fidelity == "released" else 1.0
    torch.testing.assert_close(
        moved[-1] / moved[0], torch.full_like(start, ratio), rtol=1e-2, atol=0
    )


@each
def test_evaluation_rebuilds_the_graph_once_from_the_current_parameters(name):
    train, val, _, _ = synthetic(seed=0, num_users=60, num_items=50)
    model, calls = make(name, train), []
    build = model.item_graphs
    model.item_graphs = lambda data: calls.append(1) or build(data)
    first = evaluate(model, val)
    assert len(calls) == 1
    data = model.add_graphs(val)
    with torch.no_grad():
        before = model.eval().encode(data)[1]
        for linear in model.project.values():
            linear.weight.normal_()
        after = model.encode(data)[1]
    assert not torch.allclose(before, after)
    assert set(first) == set(evaluate(model, val))
    assert model.learned_graphs is None


@each
@each_fidelity
def test_user_item_graph_is_normalised_as_the_fidelity_has_it(
    catalogue, dense, name, fidelity
):
    data = catalogue(WIDTHS)
    graph = make(name, data, fidelity).user_item_graph(data)
    matrix = torch.zeros(23, 23)
    source, target = graph.edge_index()
    matrix[target, source] = graph.weight
    spell = dense.user_item if fidelity == "paper" else dense.with_loops
    expected = spell(data["user", "interacts", "item"].edge_index, 9, 14)
    torch.testing.assert_close(matrix, expected, rtol=1e-12, atol=1e-14)


@each
def test_frozen_graph_stays_that_of_the_features_as_given(
    catalogue, randomise, first_epoch, name
):
    data = catalogue(WIDTHS)
    model = make(name, data, "released")
    before = model.raw_edges(model.add_graphs(data), "visual")
    randomise(model)
    after = model.raw_edges(first_epoch(model, data), "visual")
    assert all(map(torch.equal, before, after))


def test_nearest_items_are_those_of_the_largest_cosine(float64, dense):
    z = torch.randn(12, 3, requires_grad=True)
    edge_index = nearest_items(z, 4)
    expected = dense.nearest_cosines(z.detach(), 4).nonzero()
    assert set(map(tuple, edge_index.flip(0).T.tolist())) == set(
        map(tuple, expected.tolist())
    )


def test_items_without_a_feature_are_their_own_only_neighbour():
    z = torch.ones(5, 2)
    observed = torch.tensor([True, False, True, False, True])
    edge_index = nearest_items(z, 5, observed)
    pairs = set(map(tuple, edge_index.T.tolist()))
    seen = {(j, i) for j in (0, 2, 4) for i in (0, 2, 4)}
    assert pairs == seen | {(1, 1), (3, 3)}
    assert edge_index.size(1) == len(pairs)


@each
def test_mask_of_the_data_reaches_the_learned_graph(catalogue, name):
    data = catalogue(WIDTHS)
    data["item"].mask_visual = torch.arange(14) > 2
    model = make(name, data)
    neighbour, centre = model.similar_items(model.add_graphs(data))["visual"][0]
    missing = (neighbour <= 2) | (centre <= 2)
    assert neighbour[missing].tolist() == centre[missing].tolist() == [0, 1, 2]


@each
def test_a_row_of_zeros_is_a_missing_feature_in_the_learned_graph_too(catalogue, name):
    data = catalogue(WIDTHS)
    data["item"].x_visual[:3] = 0.0
    model = make(name, data)
    edge_index, _ = model.similar_items(model.add_graphs(data))["visual"]
    data["item"].mask_visual = torch.arange(14) > 2
    masked, _ = model.similar_items(model.add_graphs(data))["visual"]
    assert torch.equal(edge_index, masked)
    data["item"].x_visual[0] = 1.0  # what was derived from it is not kept
    del data["item"].mask_visual
    neighbour, centre = model.similar_items(model.add_graphs(data))["visual"][0]
    assert neighbour[(neighbour <= 2) & (neighbour == centre)].tolist() == [0, 1, 2]
    assert (centre == 0).sum() > 1


@each
def test_a_row_that_is_trained_stays_missing_and_what_the_scale_makes_zero_does_not(
    catalogue, name
):
    data = catalogue(WIDTHS)
    data["item"].x_visual[:3] = 0.0
    expected = torch.arange(14) > 2
    model = build_model(name, data, embedding_dim=5, k=4, train_features=True)
    with torch.no_grad():  # as a step of Adam does
        model.own_features["visual"].add_(1.0)
    for view in (data, model.add_graphs(data)):
        assert torch.equal(model.observed(view, "visual"), expected)
    assert torch.equal(model.observed(model.add_graphs(data), "textual"), expected >= 0)
    data["item"].x_visual[3:] = 1.0  # what all have is the mean
    model = build_model(name, data, embedding_dim=5, k=4, feature_scale="standardized")
    view = model.add_graphs(data)
    assert not view["item"].x_visual.any()
    assert torch.equal(model.observed(view, "visual"), expected)


def test_union_adds_up_edges_that_both_have():
    a = torch.tensor([[0, 1], [1, 1]]), torch.tensor([1.0, 2.0])
    b = torch.tensor([[1, 0], [1, 0]]), torch.tensor([4.0, 8.0])
    edge_index, weight = weighted_union([a, b], [0.5, 0.25])
    matrix = torch.zeros(2, 2).index_put(tuple(edge_index), weight, accumulate=True)
    assert matrix.tolist() == [[2.0, 0.5], [0.0, 2.0]]


@each
def test_without_learned_share_no_plugin_can_attach(catalogue, name):
    data = catalogue(WIDTHS)
    for options in ({"raw_weight": 1.0}, {"num_item_layers": 0}):
        with pytest.raises(UserError, match="do not reach its scores"):
            make(name, data, plugin="clear", rank=2, **options)
    make(name, data, plugin="clear", rank=2)


@each
@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_share_out_of_range_is_refused(catalogue, name, value):
    expected = rf"'raw_weight' must be in \[0, 1\] \(got {value}"
    with pytest.raises(ValueError, match=expected):
        make(name, catalogue(WIDTHS), raw_weight=value)


@each
def test_what_a_plugin_returns_is_what_is_used(
    catalogue, batch, randomise, first_epoch, name
):
    data = catalogue(WIDTHS)
    model = randomise(make(name, data))
    check_that_its_output_is_used(
        model, lambda: model.loss(first_epoch(model, data), batch)
    )


@pytest.mark.parametrize("name", ["LATTICE", "MICRO"])
def test_newcomers_are_folded_in_alike_in_both_fidelities(name, catalogue):
    """Whatever loops a graph of the system's own has."""
    data, rows = catalogue({"visual": 6, "textual": 4}), []
    users = torch.zeros(data["user"].num_nodes, dtype=torch.bool)
    items = torch.zeros(data["item"].num_nodes, dtype=torch.bool)
    items[[0, 3]] = True
    for fidelity in ("paper", "released"):
        torch.manual_seed(0)
        model = build_model(name, data, fidelity=fidelity, embedding_dim=4)
        with torch.no_grad():
            for table in (model.user.weight, model.item.weight):
                table.copy_(
                    torch.randn(table.shape, generator=torch.Generator().manual_seed(1))
                )
            model.item.weight[items] = 0
            model.fold_in(data, users, items)
        rows.append(model.item.weight[items].detach().clone())
    torch.testing.assert_close(*rows)
    assert rows[0].any()
