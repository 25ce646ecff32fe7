from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from mmgraph.functional import refresh_measures, subspace_affinity


def basis(dim, rank):
    return torch.linalg.qr(torch.randn(dim, rank, dtype=torch.float64)).Q


@pytest.mark.parametrize("ranks", [(3, 3), (2, 5), (5, 2)])
def test_affinity_is_the_mean_squared_cosine_of_scipys_angles(ranks):
    u, w = (basis(9, rank) for rank in ranks)
    angles = scipy.linalg.subspace_angles(u.numpy(), w.numpy())
    expected = np.mean(np.cos(angles) ** 2)
    assert subspace_affinity(u, w) == pytest.approx(expected, rel=1e-12)
    assert subspace_affinity(w, u) == pytest.approx(expected, rel=1e-12)


def test_affinity_does_not_see_the_basis_of_a_subspace():
    u = basis(9, 3)
    turn = basis(3, 3)
    assert subspace_affinity(u, -u @ turn) == pytest.approx(1, rel=1e-12)
    rest = scipy.linalg.null_space(u.T.numpy())
    assert subspace_affinity(u, torch.from_numpy(rest)) == pytest.approx(0, abs=1e-12)


def test_affinity_of_a_random_subspace_is_its_share_of_the_dimensions():
    found = [subspace_affinity(basis(16, 2), basis(16, 4)) for _ in range(2000)]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - 4 / 16) < 4 * error


def test_zero_columns_do_not_count():
    u, w = basis(9, 2), basis(9, 3)
    padded = torch.cat([u, u.new_zeros(9, 2)], dim=1)
    assert subspace_affinity(padded, w) == pytest.approx(subspace_affinity(u, w))
    assert subspace_affinity(u, u.new_zeros(9, 2)) == 1
    assert refresh_measures(padded, torch.ones(5))["rank"] == 2


def test_measures_are_those_of_a_slow_loop():
    sigma = torch.tensor([4.0, 2.0, 1.0, 0.5, 0.25, 0.125], dtype=torch.float64)
    u, earlier = basis(8, 3), basis(8, 2)
    found = refresh_measures(u.float(), sigma, earlier.float())
    square = [s**2 for s in sigma.tolist()]
    total = sum(square)
    entropy = -sum(e / total * np.log(e / total) for e in square)
    affinity = sum(
        float(u[:, i] @ earlier[:, j]) ** 2 for i in range(3) for j in range(2)
    )
    expected = {
        "rank": 3,
        "head_energy": sum(square[:3]) / total,
        "effective_rank": np.exp(entropy),
        "sigma_1": 4.0,
        "sigma_2": 2.0,
        "sigma_3": 1.0,
        "sigma_4": 0.5,
    }
    exact = {key: value for key, value in found.items() if key != "affinity"}
    assert exact == pytest.approx(expected, rel=1e-12)
    # The bases came in float32.
    assert found["affinity"] == pytest.approx(affinity / 2, rel=1e-6)


def test_what_a_row_of_json_holds_is_plain():
    found = refresh_measures(basis(4, 1), torch.ones(2), basis(4, 1))
    assert {type(value) for value in found.values()} == {int, float}


def test_bases_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match=r"of one length \(got 4 and 5\)"):
        subspace_affinity(basis(4, 1), basis(5, 1))
