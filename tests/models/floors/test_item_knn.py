import numpy as np
import pytest
import torch

from mmgraph.data import load_dataset
from mmgraph.models import build_model
from mmgraph.models.registry import reads_features
from mmgraph.schema import INTERACTS
from mmgraph.train import evaluate


@pytest.fixture(scope="module")
def splits():
    return load_dataset("synthetic")


def dense_scores(data, k, shrinkage):
    """Every score by matrices in float64."""
    users, items = data["user"].num_nodes, data["item"].num_nodes
    r = np.zeros((users, items))
    r[tuple(data[INTERACTS].edge_index.numpy())] = 1
    norms = np.sqrt(np.outer(r.sum(0), r.sum(0)))
    s = r.T @ r / np.where(norms > 0, norms + shrinkage, 1)
    np.fill_diagonal(s, 0)
    order = np.argsort(-s, axis=1, kind="stable")
    kept = np.zeros_like(s)
    np.put_along_axis(kept, order[:, :k], np.take_along_axis(s, order[:, :k], 1), 1)
    return r, r @ kept.T


@pytest.mark.parametrize("shrinkage", [0.0, 5.0])
def test_scores_are_those_of_the_dense_matrices(splits, shrinkage):
    train = splits[0]
    model = build_model("ItemKNN", train, k=1000, shrinkage=shrinkage)
    _, expected = dense_scores(train, 1000, shrinkage)
    scores = model.score(*model.encode(train))
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-5, atol=1e-7)


def test_recall_is_that_of_a_slow_ranking(splits):
    train, valid, _ = splits
    model = build_model("ItemKNN", train, k=20)
    r, _ = dense_scores(train, 20, 0.0)
    with torch.no_grad():  # tied similarities may be kept otherwise
        y = model.score(*model.encode(train)).double().numpy()
    y[r > 0] = -np.inf
    top = torch.from_numpy(y).float().topk(20, dim=1).indices.numpy()
    recalls = []
    positives = valid[INTERACTS].edge_label_index.numpy()
    for user in np.unique(positives[0]):
        held_out = set(positives[1][positives[0] == user].tolist())
        recalls.append(len(held_out & set(top[user].tolist())) / len(held_out))
    assert evaluate(model, valid)["recall@20"] == pytest.approx(np.mean(recalls))


def test_it_reads_no_features():
    assert not reads_features("ItemKNN")
