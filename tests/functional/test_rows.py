from __future__ import annotations

import pytest
import torch
from pretended_device import DEVICE, pretended_device

from mmgraph.functional import rows
from mmgraph.functional.rows import distinct_rows, row_dots, take_rows


def test_values_and_gradient_equal_plain_indexing():
    x = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    index = torch.tensor([1, 1, 6, 0, 1])
    upstream = torch.randn(5, 3, dtype=torch.float64)
    assert torch.equal(take_rows(x, index), x[index])
    (grad,) = torch.autograd.grad(take_rows(x, index), x, upstream)
    (expected,) = torch.autograd.grad(x[index], x, upstream)
    torch.testing.assert_close(grad, expected, rtol=0, atol=1e-14)


def test_without_an_index_the_table_itself():
    x = torch.randn(2, 2)
    assert take_rows(x, None) is x


def test_repeated_runs_on_all_threads_give_one_gradient():
    x = torch.randn(50, 64, requires_grad=True)
    index = torch.randint(50, (20_000,))
    upstream = torch.randn(20_000, 64)
    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        grads = [
            torch.autograd.grad(take_rows(x, index), x, upstream)[0] for _ in range(5)
        ]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(grads[0], grad) for grad in grads)


@pytest.mark.parametrize("edges", [0, 1, 3, 10])
def test_inner_products_do_not_depend_on_the_blocks(edges, monkeypatch):
    a, b = torch.randn(4, 5), torch.randn(6, 5)
    r, s = torch.randint(4, (edges,)), torch.randint(6, (edges,))
    expected = torch.einsum("ed,ed->e", a[r].double(), b[s].double()).float()
    whole = row_dots(a, r, b, s)
    torch.testing.assert_close(whole, expected)
    monkeypatch.setattr(rows, "PICKED_ROWS", 3)
    assert torch.equal(row_dots(a, r, b, s), whole)


def test_distinct_rows_lead_back_to_every_entry(device):
    index = torch.randint(6, (20,)).to(device)
    for shared in (False, True):
        rows, place = distinct_rows(index, shared=shared)
        assert torch.equal(rows[place], index)
        assert set(rows.tolist()) == set(index.tolist())
        if shared or device.type == "cpu":
            places = dict(zip(index.tolist(), place.tolist(), strict=True))
            assert [places[i] for i in index.tolist()] == place.tolist()


def test_no_device_is_waited_for_the_number_of_distinct_rows():
    with pretended_device() as device:
        index = torch.randint(6, (20,), device=DEVICE)
        for shared in (False, True):
            rows, _ = distinct_rows(index, shared=shared)
            assert rows is index
        assert not device.waits
