from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.functional import CrossMoments, cross_covariance, merge_moments


def tables(rows=500, mean=0.0):
    x_a = torch.randn(rows, 5, dtype=torch.float64) + mean
    x_b = x_a[:, :3] + torch.randn(rows, 3, dtype=torch.float64) - 2 * mean
    return x_a, x_b


def streamed(x_a, x_b, size):
    moments = CrossMoments(x_a.size(1), x_b.size(1))
    for a, b in zip(x_a.split(size), x_b.split(size), strict=True):
        moments.update(a, b)
    return moments


@pytest.mark.parametrize("mean", [0.0, 1000.0])
@pytest.mark.parametrize("size", [1, 7, 100, 500])
def test_streamed_is_dense(size, mean):
    x_a, x_b = tables(mean=mean)
    moments = streamed(x_a, x_b, size)
    both = np.cov(x_a.numpy().T, x_b.numpy().T, bias=True)[:5, 5:]
    assert moments.count == 500
    np.testing.assert_allclose(moments.mean_a, x_a.mean(0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(moments.covariance, both, rtol=0, atol=1e-10)
    dense = cross_covariance(x_a, x_b)
    torch.testing.assert_close(moments.covariance, dense, rtol=0, atol=1e-10)


def test_sorted_rows_lose_nothing():
    # The first block has another mean than the rest: a fixed shift would cancel.
    x_a, x_b = tables(mean=1e4)
    order = x_a[:, 0].argsort()
    moments = streamed(x_a[order], x_b[order], 50)
    dense = cross_covariance(x_a, x_b)
    torch.testing.assert_close(moments.covariance, dense, rtol=0, atol=1e-10)


def test_float32_rows_are_summed_in_float64():
    x_a, x_b = (x.float() for x in tables(mean=300.0))
    expected = cross_covariance(x_a.double(), x_b.double())
    actual = streamed(x_a, x_b, 64).covariance
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


def test_merged_parts_are_the_whole():
    x_a, x_b = tables(mean=5.0)
    fold = torch.randint(4, (500,))
    parts = [streamed(x_a[fold == f], x_b[fold == f], 60) for f in range(4)]
    before = [part.products.clone() for part in parts]
    merged = merge_moments([CrossMoments(5, 3), *parts])
    whole = streamed(x_a, x_b, 500)
    assert merged.count == 500
    torch.testing.assert_close(merged.covariance, whole.covariance, rtol=0, atol=1e-10)
    torch.testing.assert_close(merged.mean_a, whole.mean_a, rtol=0, atol=1e-10)
    torch.testing.assert_close(merged.mean_b, whole.mean_b, rtol=0, atol=1e-10)
    assert all(torch.equal(p.products, b) for p, b in zip(parts, before, strict=True))


def test_an_empty_block_changes_nothing():
    moments = streamed(*tables(), 500)
    before = moments.covariance.clone()
    moments.update(torch.zeros(0, 5), torch.zeros(0, 3))
    assert torch.equal(moments.covariance, before)


def test_errors_tell_what_is_missing():
    with pytest.raises(ValueError, match=r"no rows were taken in \(got 0\)"):
        _ = CrossMoments(2, 2).covariance
    with pytest.raises(ValueError, match=r"nothing to merge \(got no moments\)"):
        merge_moments([])


def test_runs_on_the_device(device):
    x_a, x_b = tables()
    moments = CrossMoments(5, 3, device=device)
    moments.update(x_a.to(device), x_b.to(device))
    expected = cross_covariance(x_a, x_b)
    torch.testing.assert_close(moments.covariance.cpu(), expected, rtol=0, atol=1e-10)
