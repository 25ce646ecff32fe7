from __future__ import annotations

import pytest
import torch

from mmgraph.knn import knn_graph
from mmgraph.knn.hubness import hubness


def test_counts_equal_a_slow_loop():
    x = torch.randn(50, 6)
    x[4] = 0
    edge_index, _ = knn_graph(x, 5)
    count = {i: 0 for i in range(50) if i != 4}
    for j in edge_index[0].tolist():
        count[j] += 1
    values = list(count.values())
    mean = sum(values) / 49
    moment = [sum((v - mean) ** p for v in values) / 49 for p in (2, 3)]
    found = hubness(edge_index, 50, num_hubs=3)
    assert found.skewness == pytest.approx(moment[1] / moment[0] ** 1.5, rel=1e-12)
    assert found.hubs == sorted(count.items(), key=lambda item: (-item[1], item[0]))[:3]
    for least, most, rows in found.histogram:
        assert rows == sum(least <= v <= most for v in values)
    assert [(a, b) for a, b, _ in found.histogram][:4] == [
        (0, 0),
        (1, 1),
        (2, 3),
        (4, 7),
    ]
    assert sum(rows for *_, rows in found.histogram) == 49


def test_equal_counts_have_no_skew_and_no_edges_have_no_hub():
    ring = torch.stack([torch.arange(6).roll(1), torch.arange(6)])
    assert hubness(ring, 6).skewness == 0.0
    assert hubness(torch.zeros((2, 0), dtype=torch.long), 3).hubs == []
