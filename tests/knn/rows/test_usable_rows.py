from __future__ import annotations

import torch

from mmgraph.knn.rows.row_source import RowSource
from mmgraph.knn.rows.usable_rows import UsableRows


def test_rows_that_take_no_part_are_left_out_of_a_range():
    x = torch.randn(9, 3)
    norm = x.double().norm(dim=1)
    norm[[1, 4, 5]] = 0
    rows = UsableRows.read(RowSource(x), norm, 3, 8)
    assert rows.id.tolist() == [3, 6, 7]
    assert torch.equal(rows.x, x[[3, 6, 7]])
    assert torch.equal(rows.norm, norm[[3, 6, 7]])
    assert len(rows) == 3
    assert UsableRows.read(RowSource(x), norm, 8, 20).id.tolist() == [8]


def test_rows_that_all_take_part_are_not_copied():
    x = torch.randn(5, 2)
    rows = UsableRows.of(x, torch.ones(5).double(), start=10)
    assert rows.x.data_ptr() == x.data_ptr()
    assert rows[torch.tensor([4, 0])].id.tolist() == [14, 10]
    assert rows[1:3].id.tolist() == [11, 12]


def test_rows_move_to_a_device(device):
    rows = UsableRows.of(torch.ones(2, 2), torch.tensor([0.0, 2.0]).double())
    moved = rows.to(device)
    assert {moved.id.device.type, moved.x.device.type} == {device.type}
    assert moved.id.cpu().tolist() == [1]
