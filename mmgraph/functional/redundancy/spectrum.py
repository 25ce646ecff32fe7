"""Rank and energy of a cross-covariance, from its singular values."""

from __future__ import annotations

import torch
from torch import Tensor


def suggest_rank(
    sigma: Tensor, *, penalty: float | None = None, energy: float | None = None
) -> int:
    r"""Number of shared directions to suppress, read off the spectrum.

    Give one of two rules. ``penalty``: :math:`k^* = \arg\min_k \sum_{i>k} \sigma_i^2 +
    p k` (Eq. 13 of CLEAR, 2026), which is the number of :math:`\sigma_i^2 > p`.
    ``energy``: the smallest :math:`k` whose directions hold this fraction of
    :math:`\sum_i \sigma_i^2`.

    Args:
        sigma: Singular values ``[n]``, descending.
        penalty: Price of one direction, at least 0.
        energy: Fraction in ``(0, 1]``.

    Returns:
        A rank from 0 to ``n``.

    Raises:
        ValueError: If not exactly one rule is given, or out of its range.

    Example:
        >>> sigma = torch.tensor([3.0, 2.0, 0.1])
        >>> suggest_rank(sigma, penalty=1.0), suggest_rank(sigma, energy=0.5)
        (2, 1)
    """
    if (penalty is None) == (energy is None):
        raise ValueError("give exactly one of 'penalty' and 'energy'")
    square = sigma.double().square()
    if penalty is not None:
        if penalty < 0:
            raise ValueError(f"'penalty' must be at least 0 (got {penalty})")
        return int((square > penalty).sum())
    if energy is None or not 0 < energy <= 1:
        raise ValueError(f"'energy' must be in (0, 1] (got {energy})")
    held = square.cumsum(dim=0)
    if held.numel() == 0 or held[-1] == 0:
        return 0
    return int((held < energy * held[-1]).sum()) + 1


def effective_rank(sigma: Tensor) -> float:
    r"""Exponential of the entropy of the energies :math:`\sigma_i^2 / \sum \sigma^2`.

    From 1 (one direction holds all) to ``n`` (all alike); 0 for a zero spectrum. The
    entropy form is that of Roy and Vetterli, "The effective rank", 2007, on energies.

    Args:
        sigma: Singular values ``[n]``.

    Returns:
        The effective rank.

    Example:
        >>> effective_rank(torch.tensor([2.0, 2.0, 0.0]))
        2.0
    """
    square = sigma.double().square()
    total = square.sum()
    if total == 0:
        return 0.0
    return float(torch.special.entr(square / total).sum().exp())


def energy_ratio(sigma: Tensor, rank: int) -> float:
    r"""Fraction of the energy in the head: :math:`\sum_{i \le k} \sigma_i^2 / \sum
    \sigma_i^2`.

    Args:
        sigma: Singular values ``[n]``, descending.
        rank: ``k``; more than ``n`` counts as ``n``.

    Returns:
        The fraction in ``[0, 1]``; 0 for a zero spectrum.

    Example:
        >>> energy_ratio(torch.tensor([3.0, 2.0, 1.0, 1.0, 1.0]), 1)
        0.5625
    """
    square = sigma.double().square()
    total = square.sum()
    return float(square[:rank].sum() / total) if total else 0.0


def spectral_gap(sigma: Tensor, rank: int) -> float:
    r"""Relative gap :math:`(\sigma_k - \sigma_{k+1}) / \sigma_1` below rank ``k``.

    The subspace of the first ``k`` directions is well defined only if this is clearly
    above 0.

    Args:
        sigma: Singular values ``[n]``, descending.
        rank: ``k``.

    Returns:
        The gap; 1 if there is nothing to confuse (``k`` is 0 or all of ``n``, or the
        spectrum is zero).

    Example:
        >>> spectral_gap(torch.tensor([4.0, 3.0, 1.0]), 2)
        0.5
    """
    if not 0 < rank < sigma.numel() or sigma[0] == 0:
        return 1.0
    return float((sigma[rank - 1] - sigma[rank]) / sigma[0])
