from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch

from mmgraph.functional import (
    effective_rank,
    energy_ratio,
    spectral_gap,
    suggest_rank,
)

SIGMA = torch.tensor([5.0, 3.0, 2.0, 1.0, 0.5, 0.0], dtype=torch.float64)


@pytest.mark.parametrize("penalty", [0.0, 0.2, 1.5, 8.0, 100.0])
def test_penalty_rank_is_the_minimiser(penalty):
    objective = [float((SIGMA[k:] ** 2).sum()) + penalty * k for k in range(7)]
    assert suggest_rank(SIGMA, penalty=penalty) == int(np.argmin(objective))


@pytest.mark.parametrize("energy", [0.1, 0.5, 0.7, 0.9, 0.99, 1.0])
def test_energy_rank_is_the_smallest_that_suffices(energy):
    total = float((SIGMA**2).sum())
    ranks = [k for k in range(7) if float((SIGMA[:k] ** 2).sum()) >= energy * total]
    assert suggest_rank(SIGMA, energy=energy) == ranks[0]


def test_effective_rank_is_the_exponential_entropy_of_scipy():
    energy = SIGMA.numpy() ** 2
    expected = np.exp(scipy.stats.entropy(energy))
    assert effective_rank(SIGMA) == pytest.approx(expected, rel=1e-12)
    assert effective_rank(torch.ones(7)) == pytest.approx(7, rel=1e-12)


@pytest.mark.parametrize("rank", [0, 1, 4, 6, 9])
def test_energy_ratio_is_a_quotient_of_sums(rank):
    square = [s * s for s in SIGMA.tolist()]
    expected = sum(square[:rank]) / sum(square)
    assert energy_ratio(SIGMA, rank) == pytest.approx(expected, rel=1e-12)


def test_zero_spectrum_has_no_rank():
    zero = torch.zeros(3)
    assert energy_ratio(zero, 2) == 0
    assert effective_rank(zero) == 0
    assert suggest_rank(zero, energy=0.9) == 0
    assert suggest_rank(zero, penalty=0.0) == 0


def test_gap_is_relative_to_the_first():
    assert spectral_gap(SIGMA, 2) == pytest.approx(0.2, rel=1e-12)
    assert spectral_gap(SIGMA, 6) == 1
    assert spectral_gap(SIGMA, 0) == 1


def test_errors_name_the_value():
    with pytest.raises(ValueError, match="exactly one"):
        suggest_rank(SIGMA)
    with pytest.raises(ValueError, match="exactly one"):
        suggest_rank(SIGMA, penalty=1.0, energy=0.9)
    with pytest.raises(ValueError, match=r"'energy' must be in \(0, 1\] \(got 1.5\)"):
        suggest_rank(SIGMA, energy=1.5)
    with pytest.raises(ValueError, match=r"'penalty' must be at least 0 \(got -1\)"):
        suggest_rank(SIGMA, penalty=-1)
