import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from mmgraph.models.parts.content_neighbours import (
    comparable_features,
    nearest_items,
    weighted_union,
)


def as_dense(graph):
    matrix = torch.zeros(graph.num_dst, graph.num_src)
    source, target = graph.edge_index()
    return matrix.index_put_((target, source), graph.weight, accumulate=True)


@pytest.fixture
def x():
    return torch.rand(15, 4, generator=torch.Generator().manual_seed(0)) * 3 + 5


def test_features_are_centred_and_of_mean_squared_length_one(x):
    x[4] = 0
    data = HeteroData({"item": {"x_a": x, "mask_a": torch.arange(15) != 7}})
    found = comparable_features(data, "a").numpy()
    there = [n for n in range(15) if n not in (4, 7)]
    rows = x.double().numpy()[there]
    centred = rows - rows.mean(axis=0)
    expected = centred / np.sqrt(np.mean([row @ row for row in centred]))
    np.testing.assert_allclose(found[there], expected, rtol=1e-12)
    assert not found[[4, 7]].any()


def test_features_that_are_all_alike_say_nothing():
    data = HeteroData({"item": {"x_a": torch.full((3, 2), 4.0)}})
    assert not comparable_features(data, "a").any()


def test_the_nearest_weigh_as_much_as_their_cosine(x):
    x = x - x.mean(dim=0)
    found = as_dense(nearest_items(x, 5))
    cosine = torch.nn.functional.cosine_similarity(x[:, None], x[None], dim=2)
    for i in range(15):
        order = [j for j in cosine[i].argsort(descending=True).tolist() if j != i]
        expected = torch.zeros(15)
        expected[order[:5]] = cosine[i, order[:5]].clamp_min(0)
        torch.testing.assert_close(found[i], expected)


def test_the_union_is_the_weighted_sum(x):
    graphs = {"a": nearest_items(x, 3), "b": nearest_items(x.flip(0), 4)}
    expected = 0.25 * as_dense(graphs["a"]) + 0.75 * as_dense(graphs["b"])
    union = weighted_union(graphs, {"a": 0.25, "b": 0.75})
    torch.testing.assert_close(as_dense(union), expected)
    alone = weighted_union(graphs, {"a": 0.0, "b": 1.0})
    torch.testing.assert_close(as_dense(alone), as_dense(graphs["b"]))
