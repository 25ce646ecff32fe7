from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.knn.rows.distinct import distinct_rows
from mmgraph.knn.rows.row_digests import later_copies, row_digests


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
def test_copies_equal_a_loop_wherever_the_table_is_cut(dtype, cut):
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
