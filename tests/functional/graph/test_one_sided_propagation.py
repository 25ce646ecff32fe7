"""Propagations from one side against layers of the stacked graph."""

from __future__ import annotations

import pytest
import torch

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.normalize import symmetric_norm
from mmgraph.functional.graph.one_sided_propagation import one_sided_propagation

EDGES = torch.tensor([[0, 0, 1, 3, 3, 3], [0, 1, 1, 0, 1, 2]])


@pytest.mark.parametrize("num_layers", range(5))
def test_both_sides_together_are_the_stacked_propagation(num_layers: int) -> None:
    torch.manual_seed(0)
    users, items = torch.randn(4, 5).double(), torch.randn(3, 5).double()
    grad = torch.randn(7, 5).double()
    weight = symmetric_norm(EDGES, 4, 3).double()
    to_user = Adjacency.bipartite(EDGES, 4, 3, weight)

    start = [x.clone().requires_grad_() for x in (users, items)]
    user, to_items = one_sided_propagation(start[0], to_user.t(), num_layers)
    item, to_users = one_sided_propagation(start[1], to_user, num_layers)
    found = torch.cat([user + to_users, item + to_items])
    found.backward(grad)

    matrix = torch.zeros(7, 7).double()
    for (u, i), w in zip(EDGES.T.tolist(), weight, strict=True):
        matrix[u, 4 + i] = matrix[4 + i, u] = w
    dense = [x.clone().requires_grad_() for x in (users, items)]
    x = expected = torch.cat(dense)
    for _ in range(num_layers):
        x = matrix @ x
        expected = expected + x
    expected.backward(grad)
    torch.testing.assert_close(found, expected)
    for mine, other in zip(start, dense, strict=True):
        torch.testing.assert_close(mine.grad, other.grad)
