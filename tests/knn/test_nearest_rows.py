from __future__ import annotations

import pytest
import torch

from mmgraph.knn import knn_graph
from mmgraph.knn.nearest_rows import NearestRows


def streamed(unit, centres, k, size):
    nearest = NearestRows(len(centres), k)
    for first in range(0, len(unit), size):
        block = unit[first : first + size]
        similarity = unit[centres] @ block.T
        own = centres - first
        inside = (own >= 0) & (own < len(block))
        similarity[inside, own[inside]] = -torch.inf
        nearest.update(similarity, first)
    return nearest


@pytest.mark.parametrize("size", [1, 9, 50, 200])
def test_lists_are_those_of_the_graph(size):
    x = torch.randn(200, 6, dtype=torch.float64)
    x[30:40] = x[5]  # ties, across blocks
    edge_index, similarity = knn_graph(x, 7)
    centres = torch.randperm(200)[:60]
    nearest = streamed(x / x.norm(dim=1, keepdim=True), centres, 7, size)
    assert torch.equal(nearest.index, edge_index[0].view(200, 7)[centres])
    assert torch.equal(nearest.similarity, similarity.view(200, 7)[centres])


def test_ties_at_the_end_go_to_the_smaller_id():
    nearest = NearestRows(1, 2)
    for first in range(0, 12, 3):
        nearest.update(torch.ones(1, 3), first)
    assert nearest.index.tolist() == [[0, 1]]


def test_rows_left_out_are_in_no_list():
    nearest = NearestRows(2, 2)
    low = -torch.inf
    nearest.update(torch.tensor([[low, low, 0.1], [0.3, low, low]]), 0)
    nearest.update(torch.tensor([[0.2, low, low], [low, low, 0.1]]), 3)
    assert nearest.index.tolist() == [[3, 2], [0, 5]]


def test_runs_on_the_device(device):
    similarity = torch.rand(5, 40)
    nearest = NearestRows(5, 3, device=device)
    nearest.update(similarity.to(device), 0)
    assert nearest.index.cpu().tolist() == similarity.topk(3).indices.tolist()
