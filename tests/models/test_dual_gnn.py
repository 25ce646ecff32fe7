from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.models import build_model

WIDTHS = {"visual": 6, "textual": 4}
FIDELITIES = ["paper", "released"]
CO_INTERACTS = ("user", "co_interacts", "user")


def make(data, fidelity="paper", **options):
    known = {"embedding_dim": 5, "hidden_dim": 3, "reg_weight": 0.3, "num_neighbors": 4}
    return build_model("DualGNN", data, fidelity=fidelity, **(known | options))


def common_items(data):
    """``[U][U]`` number of common items, one pair of users at a time."""
    items = [set() for _ in range(9)]
    for u, i in data["user", "interacts", "item"].edge_index.T.tolist():
        items[u].add(i)
    return [[len(a & b) for b in items] for a in items]


def drawn_lists(model, data):
    """Neighbours of each user in this epoch, repeats included."""
    lists = [[] for _ in range(9)]
    for neighbor, centre in model.user_graph(data).edge_index().T.tolist():
        lists[centre].append(neighbor)
    return lists


def reference(model, data, dense):
    num_layers = model.propagate.propagate.num_layers
    matrix = dense.user_item(data["user", "interacts", "item"].edge_index, 9, 14)
    users, items = [], []
    for m, mlp in model.encoders.items():
        hidden = dense.leaky(dense.linear(mlp.first, data["item"][f"x_{m}"]))
        z = dense.linear(mlp.second, hidden)
        x_0 = dense.unit_rows(torch.cat([model.propagate.preference[m], z]))
        h = sum(dense.layers(matrix, x_0, num_layers))
        users.append(h[:9])
        items.append(h[9:])
    if model.fidelity == "released":
        # The sum is accumulated in the first modality's own table.
        users[0] = sum(users)
    weight = model.fuse_users.weight[:, :, 0]
    fused = sum(weight[:, [m]] * h for m, h in enumerate(users))
    count, rows = common_items(data), []
    for u, neighbors in enumerate(drawn_lists(model, data)):
        row = fused[u]
        if neighbors:
            a = torch.tensor([float(count[u][v]) for v in neighbors]).exp()
            row = row + sum(
                share * fused[v]
                for share, v in zip(a / a.sum(), neighbors, strict=True)
            )
        rows.append(row)
    return torch.stack(rows), sum(items)


@pytest.mark.parametrize("widths", [{"textual": 4}, WIDTHS, WIDTHS | {"sound": 3}])
@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_loss_and_gradients_equal_a_dense_reference(
    catalogue, batch, dense, agree, randomise, first_epoch, fidelity, widths
):
    data = catalogue(widths)
    model = randomise(make(data, fidelity))
    data = first_epoch(model, data)
    bpr = dense.bpr(*reference(model, data, dense), batch)
    squares = [p[batch.user] for p in model.propagate.preference.values()]
    squares.append(model.fuse_users.weight)
    if fidelity == "released":
        bpr = bpr / torch.tensor(2.0).log()
        squares.append(model.unused_item_weights.weight)
    reg = sum((x**2).sum() / x.numel() for x in squares)
    agree(model, model.loss(data, batch), {"bpr": bpr, "reg": 0.3 * reg})


def test_evaluation_uses_the_graph_of_the_epoch(
    catalogue, dense, randomise, first_epoch
):
    data = catalogue(WIDTHS)
    model = randomise(make(data))
    data = first_epoch(model, data)
    model.eval()
    expected = reference(model, data, dense)
    for mine, other in zip(model.encode(data), expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("num_neighbors", [2, 4, 12])
def test_neighbours_are_those_with_most_common_items(
    catalogue, first_epoch, num_neighbors
):
    data = catalogue(WIDTHS)
    model = make(data, num_neighbors=num_neighbors)
    data = first_epoch(model, data)
    count, filled = common_items(data), 0
    for u, neighbors in enumerate(drawn_lists(model, data)):
        others = [v for v in range(9) if v != u and count[u][v]]
        best = sorted(others, key=lambda v, u=u: (-count[u][v], v))[:num_neighbors]
        assert set(neighbors) == set(best)
        assert len(neighbors) == (num_neighbors if others else 0)
        filled += len(neighbors) > len(best)
    assert (filled > 0) == (num_neighbors == 12)
    assert not any(count[8])  # one user has nobody


def test_who_has_nobody_is_left_as_fused(catalogue, randomise, first_epoch):
    data = catalogue(WIDTHS)
    model = randomise(make(data))
    data = first_epoch(model, data)
    preference, weight = model.propagate.preference, model.fuse_users.weight
    expected = sum(
        weight[8, k] * preference[m][8] / preference[m][8].norm()
        for k, m in enumerate(WIDTHS)
    )
    torch.testing.assert_close(model.encode(data)[0][8], expected, rtol=1e-12, atol=0)


def test_only_filled_lists_change_between_epochs(catalogue, first_epoch):
    data = catalogue(WIDTHS)
    for num_neighbors, changes in ((1, False), (12, True)):
        model = make(data, num_neighbors=num_neighbors)
        drawn = [
            drawn_lists(model, first_epoch(model, data, seed=seed)) for seed in range(3)
        ]
        assert all((a != b) == changes for a, b in pairwise(drawn))
        assert drawn[0] == drawn_lists(model, first_epoch(model, data, seed=0))


def test_within_an_epoch_the_graph_is_drawn_once(catalogue, first_epoch):
    data = catalogue(WIDTHS)
    model = make(data)
    data = first_epoch(model, data)
    assert model.user_graph(data) is model.user_graph(data)


def test_the_draws_are_saved_with_the_parameters(catalogue, first_epoch):
    data = catalogue(WIDTHS)
    model, other = (make(data, num_neighbors=12) for _ in range(2))
    first_epoch(model, data, seed=5)
    prepared = other.add_graphs(data)
    assert drawn_lists(other, prepared) != drawn_lists(model, prepared)
    other.load_state_dict(model.state_dict())
    assert drawn_lists(other, prepared) == drawn_lists(model, prepared)


def test_top_users_bounds_the_neighbours(catalogue, first_epoch):
    data = catalogue(WIDTHS)
    model = make(data, top_users=1, num_neighbors=3)
    data = first_epoch(model, data)
    assert {len(set(names)) for names in drawn_lists(model, data)} == {0, 1}


def test_the_user_graph_is_built_once_and_the_input_stays(catalogue):
    data = catalogue(WIDTHS)
    model = make(data)
    first, second = model.add_graphs(data), model.add_graphs(data)
    assert CO_INTERACTS not in data.edge_types
    edges = [prepared[CO_INTERACTS].edge_index for prepared in (first, second)]
    assert edges[0] is edges[1]
    assert model.add_graphs(first)[CO_INTERACTS].edge_index is edges[0]


def test_data_without_the_user_graph_are_refused(catalogue):
    data = catalogue(WIDTHS)
    with pytest.raises(UserError, match=r"pass them through model.add_graphs\(data\)"):
        make(data).encode(data)


def test_released_scores_are_those_of_the_last_training_step(
    catalogue, batch, randomise, first_epoch
):
    data = catalogue(WIDTHS)
    model = randomise(make(data, "released"))
    data = first_epoch(model, data)
    optimizer = torch.optim.SGD(model.main_parameters(), lr=0.1)
    before = [z.detach().clone() for z in model.encode(data)]
    torch.stack(list(model.loss(data, batch).values())).sum().backward()
    optimizer.step()
    after = model.encode(data)
    model.eval()
    for got, old, new in zip(model.encode(data), before, after, strict=True):
        assert torch.equal(got, old)
        assert not torch.equal(got, new)


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_user_weights_start_near_an_equal_share(catalogue, fidelity):
    model = make(catalogue(WIDTHS), fidelity)
    for fusion in (model.fuse_users, getattr(model, "unused_item_weights", None)):
        if fusion is not None:
            total = fusion.weight.sum(dim=1)
            torch.testing.assert_close(total, torch.ones_like(total))
    assert hasattr(model, "unused_item_weights") == (fidelity == "released")


def test_encoders_read_gathered_rows(catalogue, randomise):
    data = catalogue(WIDTHS)
    model = randomise(make(data))
    whole, rows = model._encode_modalities(data), torch.tensor([3, 3, 0])
    for m, part in model._encode_modalities(data, rows).items():
        torch.testing.assert_close(part, whole[m][rows], rtol=1e-12, atol=1e-14)
    assert {m: z.size(1) for m, z in whole.items()} == model.modality_dims()


def test_no_neighbour_is_refused(catalogue):
    with pytest.raises(ValueError, match=r"'num_neighbors' must be at least 1 \(got 0"):
        make(catalogue(WIDTHS), num_neighbors=0)
