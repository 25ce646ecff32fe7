import numpy as np
import pytest
import torch

from mmgraph.data import from_interactions
from mmgraph.errors import UserError
from mmgraph.models import build_model
from mmgraph.schema import INTERACTS

K = 4


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(5)
    seen = (torch.rand(9, 20, generator=generator) < 0.25).nonzero().t()
    features = {
        "visual": torch.rand(20, 6, generator=generator) + 3,
        "textual": torch.rand(20, 4, generator=generator) * 50,
    }
    features["textual"][3] = 0  # missing
    return from_interactions(*seen.tolist(), features=features)


def comparable(x):
    x = x.double().numpy()
    present = x.any(axis=1)
    x = np.where(present[:, None], x - x[present].mean(axis=0), 0)
    return x / np.sqrt((x**2).sum() / present.sum())


def dense_graph(x):
    """Cosines of the K nearest of each item that has a feature, by a full sort."""
    length = np.linalg.norm(x, axis=1)
    there = length > 0
    cosine = x @ x.T / np.where(np.outer(there, there), np.outer(length, length), 1)
    graph = np.zeros_like(cosine)
    for i in np.flatnonzero(there):
        others = [j for j in np.flatnonzero(there) if j != i]
        for j in sorted(others, key=lambda j: -cosine[i, j])[:K]:
            graph[i, j] = max(cosine[i, j], 0)
    return graph


def expected_scores(data, options):
    store = data["item"]
    x = {m: comparable(store[f"x_{m}"]) for m in ("visual", "textual")}
    if "modality" in options:
        graph = dense_graph(x[options["modality"]])
    elif options.get("fuse") == "features":
        graph = dense_graph(np.concatenate([x["visual"], x["textual"]], axis=1))
    else:
        weight = options.get("visual_weight", 0.1)
        weight = options.get("modality_weights", {"visual": weight})["visual"]
        graph = weight * dense_graph(x["visual"])
        graph += (1 - weight) * dense_graph(x["textual"])
    r = np.zeros((data["user"].num_nodes, data["item"].num_nodes))
    r[tuple(data[INTERACTS].edge_index.numpy())] = 1
    return r @ graph.T


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"visual_weight": 0.5},
        {"visual_weight": 1.0},
        {"modality_weights": {"textual": 0.25, "visual": 0.75}},
        {"modality_weights": {"textual": 0.5, "visual": 0.5}, "modality": "textual"},
        {"fuse": "features"},
        {"modality": "visual"},
        {"modality": "textual", "fuse": "features"},
    ],
    ids=str,
)
def test_scores_are_those_of_dense_cosines(data, options):
    model = build_model("ContentKNN", data, k=K, **options)
    scores = model.score(*model.encode(data))
    expected = expected_scores(data, options)
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_common_part_and_a_scale_of_a_modality_change_nothing(data):
    before = build_model("ContentKNN", data, k=K, fuse="features")
    scores = before.score(*before.encode(data))
    data["item"].x_visual = data["item"].x_visual * 7 + 100
    after = build_model("ContentKNN", data, k=K, fuse="features")
    torch.testing.assert_close(
        after.score(*after.encode(data)), scores, rtol=1e-3, atol=1e-4
    )


def test_masked_features_count_as_missing(data):
    data["item"].mask_visual = torch.arange(20) != 11
    masked = build_model("ContentKNN", data, k=K, modality="visual")
    scores = masked.score(*masked.encode(data))
    del data["item"].mask_visual
    data["item"].x_visual[11] = 0
    zero = build_model("ContentKNN", data, k=K, modality="visual")
    assert torch.equal(zero.score(*zero.encode(data)), scores)
    assert scores[:, 11].tolist() == [0.0] * len(scores)


def test_other_features_give_other_neighbours(data):
    model = build_model("ContentKNN", data, k=K)
    first = model.neighbours(data)
    assert model.neighbours(data) is first
    data["item"].x_visual = data["item"].x_visual.flip(0)
    assert model.neighbours(data) is not first


def test_a_modality_that_the_data_lack_is_refused(data):
    with pytest.raises(UserError, match="'modality' must be one of visual, textual"):
        build_model("ContentKNN", data, modality="audio")


@pytest.mark.parametrize("weights", [{"visual": 1.0}, {"visual": 0.0, "textual": 0.0}])
def test_weights_that_name_too_little_or_nothing_are_refused(data, weights):
    with pytest.raises(UserError, match="ContentKNN: 'modality_weights' must "):
        build_model("ContentKNN", data, modality_weights=weights)
