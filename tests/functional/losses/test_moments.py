from __future__ import annotations

from itertools import combinations

import pytest
import torch

from mmgraph.functional import moment_alignment


def by_hand(tables):
    """Sums over all entries, one at a time."""
    moments = []
    for table in tables:
        entries = list(table.flatten())
        mean = sum(entries) / len(entries)
        var = sum((x - mean) ** 2 for x in entries) / (len(entries) - 1)
        moments.append((mean, var))
    pairs = combinations(moments, 2)
    return sum(abs(a[0] - b[0]) + abs(a[1] - b[1]) for a, b in pairs)


def tables():
    sizes = [(4, 3), (5, 2), (2, 6), (7, 1)]
    return [
        (i + 1 + torch.randn(size).double()).requires_grad_()
        for i, size in enumerate(sizes)
    ]


def test_value_and_gradients_equal_sums_over_single_entries():
    views = tables()
    mine, other = moment_alignment(views), by_hand(views)
    torch.testing.assert_close(mine, other, rtol=1e-12, atol=0)
    grads = torch.autograd.grad(mine, views), torch.autograd.grad(other, views)
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-14)


def test_copies_equal_tables_that_are_made():
    views = tables()
    copies = [1, 2, 3, 1]
    made = [x.repeat(1, c) for x, c in zip(views, copies, strict=True)]
    mine, other = moment_alignment(views, copies), by_hand(made)
    torch.testing.assert_close(mine, other, rtol=1e-12, atol=0)
    assert not torch.isclose(mine, moment_alignment(views), rtol=1e-6)


def test_six_pairs_of_four_views():
    views = [torch.tensor([x, x]) for x in (0.0, 1.0, 3.0, 7.0)]
    # 1 + 3 + 7 + 2 + 6 + 4, and no variance.
    assert moment_alignment(views).item() == 23


def test_one_view_has_nothing_to_be_aligned_to():
    with pytest.raises(ValueError, match=r"at least two views \(got 1\)"):
        moment_alignment([torch.ones(3)])


def test_two_views_are_one_pair():
    views = tables()[:2]
    torch.testing.assert_close(moment_alignment(views), by_hand(views))


def test_every_view_needs_its_number_of_copies():
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        moment_alignment([torch.ones(3)] * 3, copies=[1, 2])
