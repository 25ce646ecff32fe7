from __future__ import annotations

import pytest
import torch

from mmgraph.functional import Adjacency, relaxed_interactions


@pytest.fixture
def seen():
    edges = torch.tensor([[2, 0, 3], [0, 1, 1]])
    return Adjacency.from_edge_index(edges, num_src=5, num_dst=3)


@pytest.mark.parametrize("noise", [2e-3, 0.7])
def test_rows_are_a_noisy_softmax_plus_scores(seen, noise):
    scores = torch.randn(3, 5, dtype=torch.float64)
    torch.manual_seed(4)
    mine = relaxed_interactions(seen, noise, scores, score_weight=1.5)
    torch.manual_seed(4)
    g = -torch.log(-torch.log(torch.rand(3, 5, dtype=torch.float64)))
    for u, items in enumerate([[2], [0, 3], []]):
        power = [torch.exp((i in items) + noise * g[u, i]) for i in range(5)]
        row = torch.stack(power) / sum(power) + 1.5 * scores[u]
        expected = row / (row * row).sum().sqrt()
        torch.testing.assert_close(mine[u], expected, rtol=1e-11, atol=1e-13)


def test_without_noise_there_is_nothing_to_blur(seen):
    with pytest.raises(ValueError, match=r"'noise_scale' must be above 0 \(got 0\)"):
        relaxed_interactions(seen, 0, torch.zeros(3, 5), 1.0)
