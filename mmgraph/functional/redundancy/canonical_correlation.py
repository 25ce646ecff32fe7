"""Linear relation of two feature matrices: correlations and information."""

from __future__ import annotations

import torch
from torch import Tensor


def canonical_correlations(x: Tensor, y: Tensor) -> Tensor:
    r"""Canonical correlations of two feature matrices over the same rows.

    The singular values of :math:`Q_x^\top Q_y`, :math:`Q` an orthonormal basis of the
    centred columns (Hotelling, "Relations between two sets of variates", 1936), in
    float64. Directions that are constant, or linear in others, have no part.

    Args:
        x: Features ``[N, d_x]``.
        y: Features ``[N, d_y]``, same rows.

    Returns:
        ``[min(rank_x, rank_y)]`` in ``[0, 1]``, float64, descending.

    Raises:
        ValueError: If the row counts differ.

    Example:
        >>> x = torch.tensor([[0.0], [1.0], [2.0]])
        >>> canonical_correlations(x, 1 - 2 * x).float()
        tensor([1.])
    """
    if x.size(0) != y.size(0):
        raise ValueError(
            f"both matrices need the same rows (got {x.size(0)} and {y.size(0)})"
        )
    bases = [_centred_basis(features) for features in (x, y)]
    rho: Tensor = torch.linalg.svdvals(bases[0].T @ bases[1])
    return rho.clamp(max=1.0)


def gaussian_information(x: Tensor, y: Tensor) -> float:
    r"""Mutual information of two feature matrices if they were Gaussian, in nats.

    :math:`-\tfrac12 \sum_i \ln(1 - \rho_i^2)` over the canonical correlations. It sees
    linear relations alone, and few rows inflate it by about :math:`d_x d_y / 2N`.

    Args:
        x: Features ``[N, d_x]``.
        y: Features ``[N, d_y]``, same rows.

    Returns:
        The information; infinite if one matrix determines a direction of the other, as
        it always does with :math:`N \le d_x + d_y`.

    Raises:
        ValueError: If the row counts differ.

    Example:
        >>> x = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])
        >>> gaussian_information(x, torch.tensor([[1.0], [-1.0], [1.0], [-1.0]]))
        0.0
    """
    rho = canonical_correlations(x, y)
    # Rounding leaves a full correlation some 1e-16 short of 1.
    if (1 - rho < 1e-12).any():
        return float("inf")
    return float(0 - 0.5 * (1 - rho.square()).log().sum())


def _centred_basis(x: Tensor) -> Tensor:
    x = x.double() - x.double().mean(dim=0)
    u, sigma, _ = torch.linalg.svd(x, full_matrices=False)
    noise = max(x.shape) * torch.finfo(torch.float64).eps * sigma.amax().clamp(min=0)
    basis: Tensor = u[:, sigma > noise]
    return basis
