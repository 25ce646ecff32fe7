from __future__ import annotations

import sys

import pytest
import torch
from torch_geometric.data import HeteroData

from mmgraph.knn import by_size, knn_graph
from mmgraph.knn.by_size import knn_graph_by_size
from mmgraph.transforms import ItemKNNGraph


@pytest.fixture
def rows(monkeypatch):
    """Rows around centres, of which a thousandth would be large."""
    monkeypatch.setattr(by_size, "LARGE", 9000)
    centre = 3 * torch.randn(60, 16)
    return centre[torch.randint(60, (9000,))] + torch.randn(9000, 16)


def recall(edge_index, exact, num_rows):
    found, wanted = (g[0] * num_rows + g[1] for g in (edge_index, exact))
    return float(torch.isin(wanted, found).double().mean())


def test_a_large_matrix_gets_an_approximate_graph_and_the_log_says_so(rows, caplog):
    pytest.importorskip("faiss")
    with caplog.at_level("INFO", "mmgraph"):
        edge_index, similarity = knn_graph_by_size(rows, 5)
    exact = knn_graph(rows, 5)
    assert 0.98 < recall(edge_index, exact[0], len(rows)) < 1
    assert similarity.shape == exact[1].shape
    assert "9000 rows: approximate graph, recall at least 0.99" in caplog.text


def test_a_transform_chooses_by_size_and_a_named_backend_is_exact(rows):
    pytest.importorskip("faiss")
    graphs = []
    for backend in ("auto", "torch"):
        data = HeteroData()
        data["item"].x_text = rows
        transform = ItemKNNGraph("text", 5, include_self=False, backend=backend)
        graphs.append(transform(data)["item", "similar_text", "item"].edge_index)
    exact, _ = knn_graph(rows, 5)
    assert torch.equal(graphs[1], exact)
    assert 0.98 < recall(graphs[0], exact, len(rows)) < 1


def test_smaller_matrices_and_those_without_faiss_are_exact(rows, caplog, monkeypatch):
    few = rows[:-1]
    for given, expected in zip(
        knn_graph_by_size(few, 5), knn_graph(few, 5), strict=True
    ):
        assert torch.equal(given, expected)
    assert not caplog.records
    monkeypatch.setitem(sys.modules, "faiss", None)
    with caplog.at_level("INFO", "mmgraph"):
        edge_index, _ = knn_graph_by_size(rows, 5)
    assert torch.equal(edge_index, knn_graph(rows, 5)[0])
    assert "9000 rows: exact graph; with faiss-cpu it would be quicker" in caplog.text


def test_rows_without_structure_are_exact_and_the_log_says_why(rows, caplog):
    pytest.importorskip("faiss")
    noise = torch.randn(9000, 64)
    with caplog.at_level("INFO", "mmgraph"):
        edge_index, _ = knn_graph_by_size(noise, 5)
    assert torch.equal(edge_index, knn_graph(noise, 5)[0])
    assert "9000 rows: exact graph; no quicker one is surely as good" in caplog.text
