from __future__ import annotations

import pytest
import torch

from mmgraph.functional import Adjacency
from mmgraph.nn.encoder import AlternatingEncoder


def softmax(x):
    return x.exp() / x.exp().sum(dim=1, keepdim=True)


@pytest.mark.parametrize("num_layers", [0, 1, 3])
def test_layers_alternate_and_the_last_is_a_softmax(num_layers):
    to_user, to_item = torch.rand(4, 5).double(), torch.rand(5, 4).double()
    graphs = []
    for matrix in (to_user, to_item):
        dst, src = matrix.nonzero().T
        edges = torch.stack([src, dst])
        sizes = {"num_src": matrix.size(1), "num_dst": matrix.size(0)}
        graphs.append(Adjacency.from_edge_index(edges, matrix[dst, src], **sizes))
    user, item = (torch.randn(n, 3, dtype=torch.float64) for n in (4, 5))
    mine = AlternatingEncoder(num_layers)(user, item, *graphs)
    u, v, sum_u, sum_v = user, item, user, item
    for layer in range(num_layers):
        u = to_user @ v
        u = softmax(u) if layer == num_layers - 1 else u
        v = to_item @ u
        v = softmax(v) if layer == num_layers - 1 else v
        sum_u, sum_v = sum_u + u, sum_v + v
    for a, b in zip(mine, (sum_u, sum_v), strict=True):
        torch.testing.assert_close(a, b / (num_layers + 1), rtol=1e-12, atol=1e-14)


def test_fewer_layers_than_none_are_refused():
    with pytest.raises(ValueError, match=r"'num_layers' must be at least 0 \(got -1"):
        AlternatingEncoder(-1)
