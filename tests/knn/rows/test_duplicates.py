from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.knn.rows import duplicates
from mmgraph.knn.rows.duplicates import distinct_rows, later_copies, row_digests


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
    monkeypatch.setattr(duplicates, "_hash", lambda x: torch.zeros(len(x)))
    x = torch.randint(-1, 2, (50, 3)).float()
    first, group = distinct_rows(x)
    assert (first.tolist(), group.tolist()) == slow(x)


def test_chosen_rows_with_one_hash_are_told_apart(monkeypatch):
    monkeypatch.setattr(duplicates, "_hash", lambda x: x[:, 0].long())
    x = torch.randint(-1, 2, (60, 3)).float()
    for row in (torch.arange(5, 60), torch.arange(0, 60, 3)):
        first, group = distinct_rows(x, row)
        assert (first.tolist(), group.tolist()) == slow(x[row])
    # The rows at these positions of the whole matrix are equal, those chosen are not.
    x = torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 3.0], [1.0, 4.0]])
    first, group = distinct_rows(x, torch.tensor([2, 3]))
    assert (first.tolist(), group.tolist()) == ([0, 1], [0, 1])


def test_no_rows_are_no_groups():
    for x, row in ((torch.zeros(0, 3), None), (torch.ones(4, 3), torch.arange(0))):
        first, group = distinct_rows(x, row)
        assert (first.tolist(), group.tolist()) == ([], [])


def test_the_users_random_numbers_stay_the_same():
    before = torch.get_rng_state()
    distinct_rows(torch.ones(5, 3))
    assert torch.equal(torch.get_rng_state(), before)


def by_a_loop(x):
    seen, again = set(), []
    for number, row in enumerate(x.tolist()):
        key = tuple(value + 0.0 for value in row)
        if key in seen:
            again.append(number)
        seen.add(key)
    return again


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("cut", [1, 7, 300])
def test_copies_equal_a_loop_wherever_the_matrix_is_cut(dtype, cut):
    x = torch.randint(-1, 2, (300, 3)).to(dtype)
    x[::5] *= -1  # minus zeros
    digests = np.concatenate([row_digests(part) for part in x.split(cut)])
    assert sorted(later_copies(digests).tolist()) == by_a_loop(x)
    first, _ = distinct_rows(x)
    assert sorted({*range(300)} - {*later_copies(digests).tolist()}) == first.tolist()


def test_rows_that_differ_in_one_bit_differ():
    x = torch.ones(65, 64)
    x[1:].diagonal().copy_(torch.tensor(1.0).nextafter(torch.tensor(2.0)))
    assert len(np.unique(row_digests(x), axis=0)) == 65
    assert not len(later_copies(row_digests(x)))


def test_half_a_digest_is_not_enough():
    digests = np.array([[1, 2], [1, 3], [4, 2], [1, 2], [4, 2], [4, 2]], np.uint64)
    assert sorted(later_copies(digests).tolist()) == [3, 4, 5]
    assert later_copies(digests[:0]).tolist() == []
    assert later_copies(digests[:1]).tolist() == []


def test_a_view_has_the_digests_of_its_copy():
    x = torch.randn(40, 12)[::2, ::3]
    assert (row_digests(x) == row_digests(x.contiguous())).all()
