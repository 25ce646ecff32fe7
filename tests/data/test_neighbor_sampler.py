from __future__ import annotations

import pytest
import torch
from torch_geometric.data import HeteroData
from torch_geometric.loader import LinkNeighborLoader, NeighborLoader
from torch_geometric.nn import HeteroConv, SAGEConv

from mmgraph.data import NeighborSampler, original_ids, synthetic
from mmgraph.schema import INTERACTS, ITEM, REV_INTERACTS, USER


@pytest.fixture
def train():
    data = synthetic(num_users=40, num_items=40)[0]
    data[USER].x = torch.randn(40, 6)
    data[ITEM].x = torch.randn(data[ITEM].num_nodes, 6)
    return data


def loader(data, num_neighbors, **options):
    return LinkNeighborLoader(
        data,
        num_neighbors=num_neighbors,
        neighbor_sampler=NeighborSampler(data, num_neighbors),
        edge_label_index=(INTERACTS, data[INTERACTS].edge_index[:, ::7]),
        neg_sampling=options.pop("neg_sampling", "triplet"),
        batch_size=5,
        **options,
    )


class TwoLayers(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList(
            HeteroConv({kind: SAGEConv(6, 6) for kind in (INTERACTS, REV_INTERACTS)})
            for _ in range(2)
        )

    def forward(self, data):
        x = data.x_dict
        kinds = (INTERACTS, REV_INTERACTS)
        edges = {kind: data[kind].edge_index for kind in kinds}
        for layer in self.layers:
            x = layer(x, edges)
        return x


def test_all_neighbours_give_a_model_of_pyg_what_the_whole_graph_gives(train):
    model = TwoLayers().double()
    train[USER].x, train[ITEM].x = train[USER].x.double(), train[ITEM].x.double()
    whole = model(train)
    for batch in loader(train, [-1, -1]):
        z = model(batch)
        for kind, index in (
            (USER, batch[USER].src_index),
            (ITEM, batch[ITEM].dst_pos_index),
            (ITEM, batch[ITEM].dst_neg_index),
        ):
            expected = whole[kind][batch[kind].n_id[index]]
            torch.testing.assert_close(z[kind][index], expected, rtol=0, atol=1e-12)


def test_ids_features_and_edges_are_those_of_the_catalogue(train):
    pairs = [set(zip(*train[k].edge_index.tolist(), strict=True)) for k in (INTERACTS,)]
    for batch in loader(train, [3, 2]):
        for kind in (USER, ITEM):
            n_id = batch[kind].n_id
            assert torch.equal(batch[kind].x, train[kind].x[n_id])
            known = train[kind].raw_id[n_id]
            assert original_ids(batch[kind].raw_id).tolist() == known.tolist()
            assert len(n_id.unique()) == len(n_id)
        user, item = batch[INTERACTS].edge_index
        found = zip(
            batch[USER].n_id[user].tolist(),
            batch[ITEM].n_id[item].tolist(),
            strict=True,
        )
        assert set(found) <= pairs[0]
        e_id = batch[INTERACTS].e_id
        ends = train[INTERACTS].edge_index[:, e_id]
        assert torch.equal(ends[0], batch[USER].n_id[user])
        assert torch.equal(ends[1], batch[ITEM].n_id[item])


def test_every_node_draws_its_neighbours_once_and_no_more_than_it_may(train):
    for batch in loader(train, [3, 2]):
        first, second, _ = batch[ITEM].num_sampled_nodes
        drawn = batch[INTERACTS].edge_index[1].bincount(minlength=batch[ITEM].num_nodes)
        degree = train[INTERACTS].edge_index[1].bincount()[batch[ITEM].n_id]
        most = torch.zeros_like(drawn)
        most[:first], most[first : first + second] = 3, 2
        assert torch.equal(drawn, torch.minimum(degree, most))
        assert sum(batch[INTERACTS].num_sampled_edges) == drawn.sum()


@pytest.mark.parametrize("kind", [USER, ITEM])
@pytest.mark.parametrize("nodes", [[5, 2, 9], [9, 5, 2, 0, 30, 7, 11], [5, 5, 2, 5]])
def test_a_batch_begins_with_its_seeds_in_their_order(train, kind, nodes):
    model = TwoLayers().double()
    train[USER].x, train[ITEM].x = train[USER].x.double(), train[ITEM].x.double()
    whole = model(train)[kind]
    found = []
    for batch in NeighborLoader(
        train,
        num_neighbors=[-1, -1],
        neighbor_sampler=NeighborSampler(train, [-1, -1]),
        input_nodes=(kind, torch.tensor(nodes)),
        batch_size=4,
    ):
        size = batch[kind].batch_size
        found += batch[kind].n_id[:size].tolist()
        assert batch[kind].num_sampled_nodes[0] == size
        expected = whole[batch[kind].n_id[:size]]
        torch.testing.assert_close(
            model(batch)[kind][:size], expected, rtol=0, atol=1e-12
        )
    assert found == nodes


def test_shuffled_seeds_are_those_that_their_places_say(train):
    nodes = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    for batch in NeighborLoader(
        train,
        num_neighbors=[3, 2],
        neighbor_sampler=NeighborSampler(train, [3, 2]),
        input_nodes=(USER, nodes),
        batch_size=7,
        shuffle=True,
    ):
        users, size = batch[USER], batch[USER].batch_size
        assert torch.equal(users.n_id[:size], nodes[users.input_id])
        assert len(users.n_id.unique()) == len(users.n_id)


def test_each_neighbour_is_drawn_alike():
    data = HeteroData()
    data[USER].num_nodes, data[ITEM].num_nodes = 1, 6
    data[INTERACTS].edge_index = torch.tensor([[0] * 6, range(6)])
    data[REV_INTERACTS].edge_index = data[INTERACTS].edge_index.flip(0)
    sampler = NeighborSampler(data, [2])
    counts = torch.zeros(6)
    for batch in NeighborLoader(
        data,
        num_neighbors=[2],
        neighbor_sampler=sampler,
        input_nodes=(USER, torch.zeros(3000, dtype=torch.long)),
        batch_size=1,
    ):
        counts[batch[ITEM].n_id] += 1
    assert counts.sum() == 6000
    chi_square = ((counts - 1000) ** 2 / 1000).sum() / (1 - 2 / 6)
    assert chi_square < 20.5  # of 5 degrees; exceeded by chance once in a thousand


@pytest.mark.parametrize("neg_sampling", [None, "binary"])
def test_other_kinds_of_negatives(train, neg_sampling):
    for batch in loader(train, [3], neg_sampling=neg_sampling):
        pairs = batch[INTERACTS].edge_label_index
        positive = pairs[:, batch[INTERACTS].edge_label == 1] if neg_sampling else pairs
        ends = batch[USER].n_id[positive[0]], batch[ITEM].n_id[positive[1]]
        known = set(zip(*train[INTERACTS].edge_index.tolist(), strict=True))
        assert set(zip(*(end.tolist() for end in ends), strict=True)) <= known


def test_item_graphs_are_sampled_too_and_nodes_without_edges_are_alone(train):
    train[ITEM, "similar", ITEM].edge_index = torch.tensor([[1, 2], [0, 1]])
    sampler = NeighborSampler(train, [-1])
    edges = torch.tensor([[0], [0]])
    batch = next(
        iter(
            LinkNeighborLoader(
                train,
                num_neighbors=[-1],
                neighbor_sampler=sampler,
                edge_label_index=(INTERACTS, edges),
            )
        )
    )
    source, target = batch[ITEM, "similar", ITEM].edge_index
    n_id = batch[ITEM].n_id
    assert (n_id[source].tolist(), n_id[target].tolist()) == ([1], [0])
