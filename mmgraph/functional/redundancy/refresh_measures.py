"""Measures of one refresh of the null-space projection."""

from __future__ import annotations

from torch import Tensor

from mmgraph.functional.redundancy.spectrum import effective_rank, energy_ratio

#: Singular values that are kept of a spectrum.
LEADING = 4


def subspace_affinity(u: Tensor, w: Tensor) -> float:
    r"""Affinity of two subspaces: the part of the smaller that lies in the other.

    .. math::
        \|U^{\top} W\|_F^2 / \min(k_u, k_w)

    which is the mean squared cosine of the principal angles: 1 if one subspace holds
    the other, :math:`\max(k_u, k_w) / d` in expectation if one of them is random.

    Args:
        u: Orthonormal columns ``[d, k_u]``; zero columns do not count.
        w: Orthonormal columns ``[d, k_w]``; zero columns do not count.

    Returns:
        The affinity in ``[0, 1]``; 1 if one of them is empty.

    Raises:
        ValueError: If the columns differ in length.

    Example:
        >>> import torch
        >>> eye = torch.eye(4)
        >>> subspace_affinity(eye[:, :2], eye[:, 1:3])
        0.5
        >>> subspace_affinity(eye[:, :2], eye[:, :3])
        1.0
    """
    if u.size(0) != w.size(0):
        raise ValueError(
            f"both bases need columns of one length (got {u.size(0)} and {w.size(0)})"
        )
    smaller = min(_rank(u), _rank(w))
    if smaller == 0:
        return 1.0
    return float((u.double().T @ w.double()).square().sum() / smaller)


def refresh_measures(
    basis: Tensor, sigma: Tensor, earlier: Tensor | None = None
) -> dict[str, float]:
    r"""Measures of a refresh: rank, spectrum, and drift of the directions.

    Args:
        basis: Shared directions in use ``[d, k]``, orthonormal or zero columns.
        sigma: All singular values ``[n]``, descending, before any projection.
        earlier: The directions of the refresh before, if there was one.

    Returns:
        ``rank``: directions in use, without zero columns. ``head_energy``: fraction of
        :math:`\sum_i \sigma_i^2` that they hold. ``effective_rank``: of the spectrum.
        ``sigma_1``, ...: its first four values. ``affinity``: of the directions to the
        earlier ones (:func:`subspace_affinity`; 1 = no drift), only where there are
        some.

    Example:
        >>> import torch
        >>> sigma = torch.tensor([2.0, 2.0, 0.0])
        >>> measures = refresh_measures(torch.eye(3)[:, :1], sigma, torch.eye(3)[:, :2])
        >>> [measures[name] for name in ("rank", "head_energy", "sigma_2", "affinity")]
        [1, 0.5, 2.0, 1.0]
    """
    basis, sigma = basis.cpu(), sigma.cpu()
    rank = _rank(basis)
    measures = {
        "rank": rank,
        "head_energy": energy_ratio(sigma, rank),
        "effective_rank": effective_rank(sigma),
    }
    values = sigma[:LEADING].tolist()
    measures |= {f"sigma_{i}": value for i, value in enumerate(values, start=1)}
    if earlier is not None:
        measures["affinity"] = subspace_affinity(basis, earlier.cpu())
    return measures


def _rank(basis: Tensor) -> int:
    return int(basis.any(dim=0).sum())
