from __future__ import annotations

import math

import torch
from torch.autograd import gradcheck

from mmgraph.functional import edge_cosine


def test_equals_the_cosine_of_each_pair(device):
    x = torch.randn(6, 3, dtype=torch.float64, device=device)
    edge_index = torch.randint(6, (2, 20), device=device)
    rows = x.tolist()
    for value, (j, i) in zip(edge_cosine(x, edge_index), edge_index.T, strict=True):
        a, b = rows[j], rows[i]
        dot = sum(p * q for p, q in zip(a, b, strict=True))
        assert abs(value.item() - dot / math.hypot(*a) / math.hypot(*b)) < 1e-14


def test_gradients_pass_gradcheck():
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    edge_index = torch.tensor([[0, 0, 1, 4, 2], [0, 1, 0, 3, 2]])
    assert gradcheck(lambda x: edge_cosine(x, edge_index), x)


def test_zero_rows_are_similar_to_nothing():
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0]], requires_grad=True)
    cosine = edge_cosine(x, torch.tensor([[0, 1], [0, 0]]))
    assert torch.equal(cosine, torch.zeros(2))
    assert torch.autograd.grad(cosine.sum(), x)[0].isfinite().all()
