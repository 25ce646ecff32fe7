"""Measures of a pair, from its covariances and its nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmgraph.functional import overlap_coefficient, sliced_wasserstein
from mmgraph.knn.search.running_top_k import RunningTopK

HEADS = (1, 2, 4, 8, 16, 20)
NUM_NEIGHBOURS = 10  # whose similarities and changes are counted
BINS = 50


def variance_ratios(cov: Tensor, basis: Tensor) -> Tensor:
    """Fraction of the variance of a matrix along each column of a basis.

    Args:
        cov: Covariance ``[d, d]``.
        basis: Orthonormal columns ``[d, k]``.

    Returns:
        ``[k]``; zeros for a constant matrix.

    Example:
        >>> variance_ratios(torch.diag(torch.tensor([3.0, 1.0])), torch.eye(2))
        tensor([0.7500, 0.2500])
    """
    along = (basis * (cov @ basis)).sum(dim=0)
    return along / cov.trace().clamp(min=torch.finfo(along.dtype).tiny)


def direction_correlations(
    cov_a: Tensor, cov_b: Tensor, u: Tensor, sigma: Tensor, w: Tensor
) -> list[float]:
    r"""Correlation of the paired coordinates, :math:`\sigma_i / (s_{u_i} s_{w_i})`.

    Args:
        cov_a: Covariance of the first modality ``[d_a, d_a]``.
        cov_b: Covariance of the second ``[d_b, d_b]``.
        u: Left singular vectors ``[d_a, n]``.
        sigma: Singular values ``[n]``.
        w: Right singular vectors ``[d_b, n]``.

    Example:
        >>> eye = torch.eye(1)
        >>> direction_correlations(4 * eye, 9 * eye, eye, torch.tensor([3.0]), eye)
        [0.5]
    """
    variance = (u * (cov_a @ u)).sum(dim=0) * (w * (cov_b @ w)).sum(dim=0)
    # A direction without variance has singular value 0 as well, up to rounding.
    deviation = variance.clamp(min=torch.finfo(variance.dtype).tiny).sqrt()
    return (sigma / deviation).clamp(max=1).tolist()


def head_energy(sigma: Tensor, rank: int) -> dict[str, float]:
    """Fraction of the squared singular values in the first 1, 2, 4, ... and ``rank``.

    Args:
        sigma: Singular values ``[n]``, descending.
        rank: One more number of directions.

    Example:
        >>> head_energy(torch.tensor([1.0, 1.0]), rank=2)
        {'1': 0.5, '2': 1.0}
    """
    held = sigma.square().cumsum(dim=0)
    held = held / held[-1].clamp(min=torch.finfo(held.dtype).tiny)
    heads = sorted({*HEADS, rank} & set(range(1, len(sigma) + 1)))
    return {str(k): float(held[k - 1]) for k in heads}


def damp_head(coordinates: Tensor, rank: int, strength: float) -> Tensor:
    """Coordinates along the shared directions, after the projection.

    Args:
        coordinates: ``[S, n]``.
        rank: Directions that are suppressed.
        strength: By how much.

    Example:
        >>> damp_head(torch.tensor([[4.0, 4.0]]), 1, 0.75)
        tensor([[1., 4.]])
    """
    head, tail = coordinates[:, :rank], coordinates[:, rank:]
    return torch.cat([(1 - strength) * head, tail], dim=1)


def coordinate_distance(a: Tensor, b: Tensor, seed: int) -> tuple[float, float]:
    """Sliced Wasserstein distance at the features' own scale, and of unit rows.

    The distance grows with the features, and a projection shrinks them: only the
    second can be compared before and after.

    Args:
        a: Coordinates of the first modality ``[S, n]``.
        b: Those of the second.
        seed: Of the random directions.

    Example:
        >>> a = torch.tensor([[1.0], [3.0]])
        >>> coordinate_distance(a, 2 * a, seed=0)
        (2.0, 0.0)
    """
    unit_a, unit_b = F.normalize(a, dim=1), F.normalize(b, dim=1)
    raw = sliced_wasserstein(a, b, seed=seed)
    return raw, sliced_wasserstein(unit_a, unit_b, seed=seed)


@dataclass(frozen=True)
class Similarities:
    """Cosines of the ten nearest items in either modality, pooled over the centres.

    Attributes:
        overlap: Common area of the two densities, 0 to 1.
        edges: Ends of the histogram's bins.
        density: Density in each bin, by modality.
    """

    overlap: float
    edges: list[float]
    density: dict[str, list[float]]


def similarity_densities(
    names: tuple[str, str], a: RunningTopK, b: RunningTopK
) -> Similarities:
    """Densities of the similarities of nearest neighbours (Fig. 1, left, of CLEAR).

    Args:
        names: Of the two modalities.
        a: Neighbours in the first.
        b: Neighbours in the second.

    Example:
        >>> a = RunningTopK(1, 2)
        >>> a.add_tile(torch.tensor([[0.9, 0.8, 0.1]]), 0)
        >>> similarity_densities(("visual", "textual"), a, a).overlap
        1.0
    """
    x, y = (near.score[:, :NUM_NEIGHBOURS].flatten().cpu() for near in (a, b))
    edges = np.histogram_bin_edges(torch.cat([x, y]).numpy(), BINS)
    return Similarities(
        overlap=overlap_coefficient(x, y),
        edges=edges.tolist(),
        density={
            name: np.histogram(values.numpy(), edges, density=True)[0].tolist()
            for name, values in zip(names, (x, y), strict=True)
        },
    )


def imbalance_ratio(ratios: Mapping[str, Tensor], rank: int) -> float | None:
    r"""Eq. 22 of CLEAR, :math:`\alpha = \beta`, each modality at unit variance.

    In the paper's form the energy of the first modality's shared part stands for both,
    in units of its own; the mean of the two does not depend on order or units.

    Args:
        ratios: :func:`variance_ratios` of the two modalities.
        rank: Number of shared directions.

    Returns:
        The ratio; None if nothing lies outside the shared directions.

    Example:
        >>> half = torch.tensor([0.5, 0.5])
        >>> imbalance_ratio({"visual": half, "textual": half}, 1)
        2.0
    """
    inside = [float(ratio[:rank].sum()) for ratio in ratios.values()]
    outside = sum(1 - value for value in inside)
    return 2 * sum(inside) / outside if outside > 1e-12 else None
