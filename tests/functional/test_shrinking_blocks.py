from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.functional.block_sizes import ran_out_of_memory
from mmgraph.functional.shrinking_blocks import shrinking_blocks


def test_all_rows_come_once_and_in_order_whatever_fails():
    limits = iter([100, 9, 9, 3, 1, *[1] * 100])

    def compute(start, stop):
        if stop - start > next(limits):
            raise MemoryError
        return list(range(start, stop))

    blocks = list(shrinking_blocks(compute, 40, 10))
    assert [row for block in blocks for row in block] == list(range(40))
    assert [len(block) for block in blocks][:2] == [10, 5]
    assert len(blocks[-1]) == 1


def test_a_single_row_that_does_not_fit_is_an_error():
    def compute(start, stop):
        raise MemoryError("one row")

    with pytest.raises(MemoryError, match="one row"):
        list(shrinking_blocks(compute, 3, 4))


@pytest.mark.parametrize("error", [RuntimeError("shapes"), ValueError("bad")])
def test_other_errors_are_not_tried_again(error):
    calls = []

    def compute(start, stop):
        calls.append(start)
        raise error

    with pytest.raises(type(error)):
        list(shrinking_blocks(compute, 8, 4))
    assert calls == [0]


def test_errors_of_the_caller_are_never_caught():
    blocks = shrinking_blocks(lambda start, stop: start, 8, 4)
    with pytest.raises(MemoryError):  # noqa: PT012
        for _ in blocks:
            raise MemoryError


def test_what_the_libraries_really_raise_is_recognised():
    huge = 2**46
    with pytest.raises(RuntimeError) as of_torch:
        torch.empty(huge)
    with pytest.raises(MemoryError) as of_numpy:
        np.ones(huge)
    assert ran_out_of_memory(of_torch.value)
    assert ran_out_of_memory(of_numpy.value)
    assert ran_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
