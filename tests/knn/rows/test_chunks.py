from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.knn.rows.chunks import divided_rows, rows_at_once


@pytest.mark.parametrize("width", [1, 7, 384, 4096])
def test_a_float64_block_fills_a_mebibyte_and_no_more(width):
    rows = rows_at_once(torch.empty(0, width))
    assert 8 * rows * width <= 2**20 < 8 * (rows + 1) * width


@pytest.mark.parametrize(("width", "rows"), [(2**18, 1), (0, 2**17)])
def test_there_is_always_a_row(width, rows):
    assert rows_at_once(torch.empty(0, width)) == rows


def test_rows_are_divided_in_float64_and_rounded_once_across_blocks():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(130, 4096)).astype(np.float32)  # several blocks of 32 rows
    norm = rng.uniform(0.1, 9.0, size=130)
    want = (x.astype(np.float64) / norm[:, None]).astype(np.float32)
    found = divided_rows(torch.from_numpy(x), torch.from_numpy(norm))
    assert np.array_equal(found.numpy(), want)
