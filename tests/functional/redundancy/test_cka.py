from __future__ import annotations

import pytest
import torch

from mmgraph.functional import chance_cka, cross_covariance, linear_cka


def tables(rows=60):
    x_a = torch.randn(rows, 7, dtype=torch.float64) + 3
    x_b = x_a[:, :4] @ torch.randn(4, 5, dtype=torch.float64)
    return x_a, x_b + torch.randn(rows, 5, dtype=torch.float64)


def gram_cka(x_a, x_b):
    """The definition: centred N x N Gram matrices and their Frobenius products."""
    n = len(x_a)
    centre = torch.eye(n, dtype=torch.float64) - 1 / n
    k, h = (centre @ (x @ x.T) @ centre for x in (x_a, x_b))
    return float((k * h).sum() / (k.norm() * h.norm()))


def test_is_the_gram_matrix_definition():
    x_a, x_b = tables()
    assert linear_cka(x_a, x_b) == pytest.approx(gram_cka(x_a, x_b), rel=1e-10)
    assert linear_cka(x_a, x_b) == pytest.approx(linear_cka(x_b, x_a), rel=1e-12)


def test_does_not_see_shift_scale_or_rotation():
    x_a, x_b = tables()
    expected = linear_cka(x_a, x_b)
    turn = torch.linalg.qr(torch.randn(7, 7, dtype=torch.float64)).Q
    assert linear_cka(4 * x_a @ turn - 9, x_b) == pytest.approx(expected, rel=1e-10)
    assert linear_cka(x_a @ turn, x_a) == pytest.approx(1, rel=1e-10)
    stretched = x_a * torch.arange(1, 8)  # not a rotation: it is seen
    assert linear_cka(stretched, x_b) != pytest.approx(expected, rel=1e-3)


def test_mask_leaves_rows_out():
    x_a, x_b = tables()
    mask = torch.rand(60) < 0.6
    expected = gram_cka(x_a[mask], x_b[mask])
    assert linear_cka(x_a, x_b, mask) == pytest.approx(expected, rel=1e-10)


def test_a_constant_table_has_none():
    x_a, _ = tables()
    assert linear_cka(x_a, torch.ones(60, 3)) == 0
    eye = torch.eye(3)
    assert chance_cka(eye, torch.zeros(3, 3), 9) == 0


def test_chance_is_the_mean_over_all_permutations():
    from itertools import permutations

    x_a, x_b = torch.randn(2, 5, 3, dtype=torch.float64)
    values = [gram_cka(x_a, x_b[list(p)]) for p in permutations(range(5))]
    cov_a, cov_b = cross_covariance(x_a, x_a), cross_covariance(x_b, x_b)
    expected = sum(values) / len(values)
    assert chance_cka(cov_a, cov_b, 5) == pytest.approx(expected, rel=1e-10)


def test_errors_name_the_value():
    with pytest.raises(ValueError, match=r"'num_rows' must be at least 2 \(got 1\)"):
        chance_cka(torch.eye(2), torch.eye(2), 1)
