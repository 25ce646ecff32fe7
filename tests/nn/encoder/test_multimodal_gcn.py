from __future__ import annotations

import pytest
import torch

from mmgraph.functional import Adjacency
from mmgraph.nn.encoder import ModalityGraphEncoder, MultimodalGCN
from mmgraph.nn.fusion import UserModalityWeights

EDGES = torch.tensor([[0, 0, 1, 2], [0, 1, 1, 3]])  # 3 users, 4 items
ITEM_EDGES = torch.tensor([[1, 2, 0, 0], [0, 0, 1, 3]])  # neighbour, centre
ITEM_WEIGHT = torch.tensor([0.25, 0.75, 1.0, 0.5], dtype=torch.float64)
MODALITIES = ["textual", "visual"]


@pytest.fixture
def graphs():
    """The stacked graph and the item graph, each with its dense matrix."""
    stacked = torch.zeros(7, 7, dtype=torch.float64)
    for u, i in EDGES.T.tolist():
        degree = (EDGES[0] == u).sum().item() * (EDGES[1] == i).sum().item()
        stacked[u, 3 + i] = stacked[3 + i, u] = degree**-0.5
    item = torch.zeros(4, 4, dtype=torch.float64)
    item[ITEM_EDGES[1], ITEM_EDGES[0]] = ITEM_WEIGHT
    source, target = stacked.nonzero().T
    graph = Adjacency.from_edge_index(
        torch.stack([source, target]), stacked[target, source], num_src=7
    )
    item_graph = Adjacency.from_edge_index(ITEM_EDGES, ITEM_WEIGHT, num_src=4)
    return graph, item_graph, stacked, item


def dense(gcn, z, stacked, item):
    """The equations of the class, one matrix at a time."""
    users, items = [], []
    weight = gcn.fuse_users.weight
    if gcn.fuse_users.mode == "softmax":
        weight = weight.exp() / weight.exp().sum(dim=1, keepdim=True)
    for place, m in enumerate(z):
        x = torch.cat([gcn.propagate.preference[m], z[m]])
        x = x / (x**2).sum(dim=1, keepdim=True).sqrt()
        power = torch.eye(7, dtype=torch.float64)
        h = x
        for _ in range(gcn.propagate.propagate.num_layers):
            power = power @ stacked
            h = h + power @ x
        users.append(weight[:, place] * h[:3])
        items.append(h[3:])
    z_item = torch.cat(items, dim=1)
    steps = torch.linalg.matrix_power(item, gcn.item_conv.num_layers)
    return torch.cat(users, dim=1), z_item + steps @ z_item


@pytest.mark.parametrize("user_weights", ["free", "softmax"])
@pytest.mark.parametrize(("num_layers", "num_item_layers"), [(0, 0), (1, 2), (2, 1)])
def test_values_and_gradients_equal_a_dense_reference(
    graphs, num_layers, num_item_layers, user_weights
):
    graph, item_graph, stacked, item = graphs
    gcn = MultimodalGCN(3, MODALITIES, 2, num_layers, num_item_layers, user_weights)
    gcn = gcn.double()
    z = {m: torch.randn(4, 2).double().requires_grad_() for m in MODALITIES}
    mine, other = gcn(z, graph, item_graph), dense(gcn, z, stacked, item)
    leaves = [*gcn.parameters(), *z.values()]
    upstream = [torch.randn_like(part) for part in other]
    for a, b in zip(mine, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)
    for a, b in zip(
        torch.autograd.grad(mine, leaves, upstream),
        torch.autograd.grad(other, leaves, upstream),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("modalities", [["a"], ["a", "b", "c"]])
def test_any_number_of_modalities_goes_side_by_side(graphs, modalities):
    graph, item_graph, stacked, item = graphs
    gcn = MultimodalGCN(3, modalities, 2).double()
    z = {m: torch.randn(4, 2).double() for m in modalities}
    user, items = gcn(z, graph, item_graph)
    assert (user.shape, items.shape) == (
        (3, 2 * len(modalities)),
        (4, 2 * len(modalities)),
    )
    expected = dense(gcn, z, stacked, item)
    torch.testing.assert_close((user, items), expected, rtol=1e-12, atol=1e-14)


def test_an_edge_index_gives_what_a_prepared_graph_gives(graphs):
    graph, _, _, _ = graphs
    gcn = MultimodalGCN(3, MODALITIES, 2)
    z = {m: torch.randn(4, 2) for m in MODALITIES}
    prepared = Adjacency.from_edge_index(ITEM_EDGES, num_src=4)
    float_graph = Adjacency.user_item(EDGES, 3, 4)
    torch.testing.assert_close(
        gcn(z, graph.edge_index(), ITEM_EDGES), gcn(z, float_graph, prepared)
    )


def test_draws_the_same_numbers_as_its_parts_in_turn():
    torch.manual_seed(5)
    gcn = MultimodalGCN(3, MODALITIES, 2, user_weights="softmax")
    torch.manual_seed(5)
    parts = [ModalityGraphEncoder(3, MODALITIES, 2, 2)]
    parts += [UserModalityWeights(3, 2, "softmax")]
    expected = [p for part in parts for p in part.parameters()]
    assert all(map(torch.equal, gcn.parameters(), expected))
    assert [name for name, _ in gcn.named_parameters()] == [
        "propagate.preference.textual",
        "propagate.preference.visual",
        "fuse_users.weight",
    ]
    torch.manual_seed(5)
    gcn.reset_parameters()
    assert all(map(torch.equal, gcn.parameters(), expected))


def test_the_penalty_is_of_the_batchs_preferences_and_all_weights():
    gcn = MultimodalGCN(3, MODALITIES, 2).double()
    user = [2, 0, 2]
    expected = gcn.fuse_users.weight.square().sum().item() / 6
    for m in MODALITIES:
        rows = gcn.propagate.preference[m].tolist()
        expected += sum(v * v for u in user for v in rows[u]) / 6
    penalty = gcn.penalty(torch.tensor(user))
    assert penalty.item() == pytest.approx(expected, rel=1e-12)


def test_the_steps_give_what_the_whole_gives(graphs):
    graph, item_graph, _, _ = graphs
    gcn = MultimodalGCN(3, MODALITIES, 2).double()
    z = {m: torch.randn(4, 2).double() for m in MODALITIES}
    h = gcn.propagate(z, graph)
    user, items = gcn(z, graph, item_graph)
    fused = gcn.fuse(h, item_graph)
    assert torch.equal(user, fused[0])
    assert torch.equal(items, fused[1])
    whole = torch.cat([h_item for _, h_item in h.values()], dim=1)
    assert torch.equal(items, gcn.smooth(whole, item_graph))


def test_unknown_user_weights_are_refused():
    with pytest.raises(
        ValueError,
        match=r"MultimodalGCN: 'user_weights' must be one of .* \(got 'fixed'\)",
    ):
        MultimodalGCN(3, MODALITIES, 2, user_weights="fixed")


def test_repr_shows_modalities_and_layers():
    text = "MultimodalGCN(['textual', 'visual'], num_layers=2, num_item_layers=1)"
    assert repr(MultimodalGCN(3, MODALITIES, 2)) == text
