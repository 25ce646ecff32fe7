from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
import torch

from mmgraph.functional.redundancy.canonical_correlation import (
    canonical_correlations,
    gaussian_information,
)


def test_they_solve_the_generalised_eigenproblem():
    x = torch.randn(200, 3).double()
    y = torch.cat([x[:, :1] + torch.randn(200, 1), torch.randn(200, 1)], dim=1).double()
    a, b = (t.numpy() - t.numpy().mean(axis=0) for t in (x, y))
    cross = a.T @ b
    # C_xy C_yy^-1 C_yx w = rho^2 C_xx w
    square = scipy.linalg.eigh(
        cross @ np.linalg.solve(b.T @ b, cross.T), a.T @ a, eigvals_only=True
    )
    expected = np.sqrt(square[::-1][:2])
    np.testing.assert_allclose(canonical_correlations(x, y).numpy(), expected)


def test_one_column_each_is_pearsons_correlation():
    x = torch.randn(50, 1)
    y = x + torch.randn(50, 1)
    r = np.corrcoef(x[:, 0].double(), y[:, 0].double())[0, 1]
    assert float(canonical_correlations(x, y)) == pytest.approx(abs(r))
    assert gaussian_information(x, y) == pytest.approx(-0.5 * math.log(1 - r**2))


def test_linear_changes_of_a_table_change_nothing():
    x, y = torch.randn(100, 3).double(), torch.randn(100, 2).double()
    y[:, 0] += x[:, 1]
    mixed = 5 + x @ torch.randn(3, 3).double()
    torch.testing.assert_close(
        canonical_correlations(mixed, y), canonical_correlations(x, y)
    )
    assert gaussian_information(y, mixed) == pytest.approx(gaussian_information(x, y))


def test_constant_and_repeated_columns_have_no_part():
    x, y = torch.randn(100, 2).double(), torch.randn(100, 2).double()
    wide = torch.cat([x, x[:, :1], torch.ones(100, 1)], dim=1)
    torch.testing.assert_close(
        canonical_correlations(wide, y), canonical_correlations(x, y)
    )
    assert canonical_correlations(torch.ones(5, 2), torch.randn(5, 1)).numel() == 0
    assert gaussian_information(torch.ones(5, 2), torch.randn(5, 1)) == 0


def test_full_determination_is_infinite():
    x = torch.randn(100, 2)
    assert gaussian_information(x, x[:, :1]) == math.inf
    assert gaussian_information(torch.randn(6, 4), torch.randn(6, 4)) == math.inf


def test_other_rows_are_refused():
    with pytest.raises(ValueError, match=r"same rows \(got 3 and 2\)"):
        canonical_correlations(torch.ones(3, 1), torch.ones(2, 1))
