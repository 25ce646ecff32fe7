from __future__ import annotations

from functools import partial

import pytest
import torch
from reference.memory import LargestTensor

from mmgraph.functional import grace, info_nce, solosim
from mmgraph.functional.block_sizes import (
    CONTRAST_SCORES,
    GRACE_SCORES,
    WIDE_CONTRAST_ROWS,
)
from mmgraph.functional.losses.streaming import contrast_rows
from mmgraph.nn.losses import InfoNCELoss, SoloSimLoss

LOSSES = pytest.mark.parametrize("loss", [solosim, info_nce, grace])


def pair(dtype=torch.float64):
    x, y = torch.randn(2, 37, 5, dtype=dtype)
    return x.requires_grad_(), y.requires_grad_()


@LOSSES
def test_without_gradients_the_value_is_the_same(loss):
    x, y = pair()
    expected = loss(x, y, 0.2, block_size=8).detach()
    with torch.no_grad():
        value = loss(x, y, 0.2, block_size=8)
    assert not value.requires_grad
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)


@LOSSES
def test_second_derivative_is_refused(loss):
    x, y = pair()
    text = r"^this contrast has .* derivative \(got a .* with create_graph=True\)$"
    with pytest.raises(RuntimeError, match=text):
        torch.autograd.grad(loss(x, y, 0.2), x, create_graph=True)


@LOSSES
def test_autocast_does_not_lower_the_precision(loss):
    x, y = pair(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(x, y, 0.05)
    torch.testing.assert_close(value, loss(x, y, 0.05))
    for half in ((x.bfloat16(), y.bfloat16()), (x, y.bfloat16())):
        assert loss(*half, 0.05).dtype == torch.float32


@pytest.mark.parametrize(
    "loss",
    [
        partial(solosim, temperature=0.2, block_size=8),
        partial(info_nce, temperature=0.2, block_size=8),
        partial(grace, temperature=0.2, block_size=8),
        SoloSimLoss(0.2, block_size=8),
        InfoNCELoss(0.2, block_size=8),
    ],
)
@pytest.mark.parametrize("grad", [True, False])
def test_no_more_than_a_block_of_similarities_is_held(loss, grad):
    x, y = torch.randn(2, 100, 5, requires_grad=grad)
    with LargestTensor() as largest:
        loss(x, y)
    assert largest.size == 8 * 100


@pytest.mark.parametrize(
    ("loss", "cache"), [(solosim, CONTRAST_SCORES), (grace, GRACE_SCORES)]
)
def test_a_cpu_takes_as_many_rows_as_fit_its_cache(loss, cache):
    x, y = torch.randn(2, 3000, 4)
    with LargestTensor() as largest:
        loss(x, y, 0.2)
    assert largest.size == cache.cpu // 3000 * 3000


@pytest.mark.parametrize("loss", [solosim, grace])
def test_a_cpu_takes_more_rows_of_wide_views(loss):
    x, y = torch.randn(2, 3000, 64)
    with LargestTensor() as largest:
        loss(x, y, 0.2)
    assert largest.size == WIDE_CONTRAST_ROWS * 3000


def test_wide_views_of_large_catalogues_stay_within_their_memory():
    large = torch.empty(1, 64).expand(2**17, 64)
    assert contrast_rows(large, CONTRAST_SCORES) == 2**23 // 2**17
    larger = torch.empty(1, 64).expand(2**20, 64)
    assert contrast_rows(larger, CONTRAST_SCORES) == 32


@LOSSES
def test_temperature_and_block_size_are_refused_by_name(loss):
    x = torch.ones(3, 2)
    with pytest.raises(ValueError, match=r"'temperature' must be above 0 \(got 0\)"):
        loss(x, x, 0)
    with pytest.raises(ValueError, match=r"'temperature' must be above 0 \(got nan\)"):
        loss(x, x, float("nan"))
    with pytest.raises(ValueError, match=r"'block_size' must be at least 1 \(got 0\)"):
        loss(x, x, 0.2, block_size=0)


@LOSSES
@pytest.mark.parametrize("with_grad", [True, False])
def test_without_memory_the_blocks_shrink_and_the_loss_stays(
    loss, with_grad, monkeypatch
):
    x, y = pair()
    expected = loss(x, y, 0.2)
    grads = torch.autograd.grad(expected, (x, y))
    amax, failed = torch.Tensor.amax, []

    def amax_of_few(tensor, *args, **kwargs):
        if len(tensor) > 9:
            failed.append(len(tensor))
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return amax(tensor, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "amax", amax_of_few)
    with torch.set_grad_enabled(with_grad):
        value = loss(x, y, 0.2)
    assert failed[:2] == [37, 18]
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    if with_grad:
        for mine, before in zip(torch.autograd.grad(value, (x, y)), grads, strict=True):
            torch.testing.assert_close(mine, before, rtol=1e-10, atol=1e-12)
