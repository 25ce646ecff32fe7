from __future__ import annotations

import pytest
import torch

from mmgraph.knn.blocks import rows_at_once


@pytest.mark.parametrize("width", [1, 7, 384, 4096])
def test_a_float64_block_fills_a_mebibyte_and_no_more(width):
    rows = rows_at_once(torch.empty(0, width))
    assert 8 * rows * width <= 2**20 < 8 * (rows + 1) * width


@pytest.mark.parametrize(("width", "rows"), [(2**18, 1), (0, 2**17)])
def test_there_is_always_a_row(width, rows):
    assert rows_at_once(torch.empty(0, width)) == rows
