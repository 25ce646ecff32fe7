from __future__ import annotations

import pytest
import torch

from mmgraph.knn.rows import distinct
from mmgraph.knn.rows.distinct import distinct_rows


def slow(x):
    seen: dict[tuple, int] = {}
    first, group = [], []
    for i, row in enumerate(x.tolist()):
        key = tuple(v + 0.0 for v in row)
        if key not in seen:
            seen[key] = len(first)
            first.append(i)
        group.append(seen[key])
    return first, group


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_groups_equal_a_slow_loop(dtype):
    x = torch.randint(-1, 2, (200, 3)).to(dtype)
    first, group = distinct_rows(x)
    assert (first.tolist(), group.tolist()) == slow(x)


def test_minus_zero_is_zero():
    first, group = distinct_rows(torch.tensor([[0.0, 1.0], [-0.0, 1.0]]))
    assert first.tolist() == [0]
    assert group.tolist() == [0, 0]


def test_rows_with_one_hash_are_told_apart(monkeypatch):
    monkeypatch.setattr(distinct, "_hash", lambda x: torch.zeros(len(x)))
    x = torch.randint(-1, 2, (50, 3)).float()
    first, group = distinct_rows(x)
    assert (first.tolist(), group.tolist()) == slow(x)
