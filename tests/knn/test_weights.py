from __future__ import annotations

import pytest
import torch

from mmgraph.knn import knn_graph
from mmgraph.knn.weights import edge_weights


def test_symmetric_weights_are_those_of_a_dense_matrix():
    edge_index, similarity = knn_graph(torch.randn(30, 4), 3)
    dense = torch.zeros(30, 30, dtype=torch.float64)
    dense[edge_index[1], edge_index[0]] = 1
    column, row = dense.sum(0), dense.sum(1)
    want = dense / column.clamp(min=1).sqrt() / row[:, None].sqrt()
    got = edge_weights(edge_index, similarity, 30, "symmetric")
    torch.testing.assert_close(got.double(), want[edge_index[1], edge_index[0]])


def test_similarity_and_binary_weights():
    edge_index, similarity = torch.tensor([[1, 0], [0, 1]]), torch.tensor([0.5, -2.0])
    assert edge_weights(edge_index, similarity, 2, "similarity") is similarity
    assert edge_weights(edge_index, similarity, 2, "binary").tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match=r"'weights' must be .* \(got 'cosine'\)"):
        edge_weights(edge_index, similarity, 2, "cosine")


def test_binary_weights_know_no_degrees():
    edge_index = torch.tensor([[1, 2, 0, 0], [0, 0, 1, 2]])
    weight = edge_weights(edge_index, torch.full((4,), 0.5), 3, "binary")
    assert weight.tolist() == [1, 1, 1, 1]
    weight = edge_weights(edge_index, torch.full((4,), 0.5), 3, "symmetric")
    assert weight.tolist() == pytest.approx([0.5**0.5] * 4)
