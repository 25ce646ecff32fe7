"""Redundancy of two modalities of a catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmgraph.analysis.redundancy.findings import pair_notes, reason
from mmgraph.analysis.redundancy.pair_measures import (
    NUM_NEIGHBOURS,
    Similarities,
    coordinate_distance,
    damp_head,
    direction_correlations,
    head_energy,
    imbalance_ratio,
    similarity_densities,
    variance_ratios,
)
from mmgraph.analysis.redundancy.pair_moments import (
    Stability,
    pair_moments,
    subspace_stability,
)
from mmgraph.analysis.redundancy.pair_neighbours import (
    Overlap,
    nearest_neighbours,
    overlap_beside_chance,
)
from mmgraph.analysis.redundancy.projection_cost import Cost, projection_costs
from mmgraph.data import FeatureRows
from mmgraph.functional import (
    chance_cka,
    covariance_cka,
    effective_rank,
    levelling_strength,
    shared_rank,
    spectral_gap,
)

_SHOWN_DIRECTIONS = 20


@dataclass(frozen=True)
class PairDiagnosis:
    """The redundancy of two modalities, over the items that have both.

    Attributes:
        modalities: Their names.
        rows: Items used: neither is missing or zero.
        singular_values: Of the cross-covariance, descending.
        effective_rank: Exponential of the entropy of their energies.
        head_energy: Fraction of the energy in the first k directions, by k.
        correlations: Correlation of the two coordinates along each of the first 20
            directions: a large singular value may be much variance, little relation.
        variance_shares: Fraction of each modality's variance along each of them.
        chance_level: Largest singular value that chance explains after the rank.
        suggested_rank: See :func:`mmgraph.functional.shared_rank`.
        rank_is_clear: True if the spectrum has a clear step there.
        suggested_strength: See :func:`mmgraph.functional.levelling_strength`.
        reason: The reason for both, in sentences.
        spectral_gap: Relative gap after the suggested rank.
        stability: Of the shared subspace, by modality; None for rank 0.
        neighbour_overlap: By number of neighbours K.
        similarities: Of retrieved items.
        cka: Linear centred kernel alignment.
        cka_by_chance: Its expectation for randomly matched rows.
        swd: Sliced Wasserstein distance of the coordinates along all shared directions,
            rows at unit length.
        swd_after: The same after the suggested projection.
        swd_raw: The same at the features' own scale.
        swd_raw_after: That after the projection, which shrinks the features.
        imbalance_ratio: Eq. 22 of CLEAR (2026) with equal weights, each modality at
            unit variance and the shared energy the mean of both; None if nothing lies
            outside the shared directions.
        imbalance_bound: Its right-hand side, 2 for equal weights.
        costs: At half the suggested rank, at it, and at twice.
        notes: Warnings for the reader.
    """

    modalities: list[str]
    rows: int
    singular_values: list[float]
    effective_rank: float
    head_energy: dict[str, float]
    correlations: list[float]
    variance_shares: dict[str, list[float]]
    chance_level: float
    suggested_rank: int
    rank_is_clear: bool
    suggested_strength: float
    reason: str
    spectral_gap: float
    stability: dict[str, Stability] | None
    neighbour_overlap: dict[str, Overlap]
    similarities: Similarities
    cka: float
    cka_by_chance: float
    swd: float
    swd_after: float
    swd_raw: float
    swd_raw_after: float
    imbalance_ratio: float | None
    imbalance_bound: float
    costs: list[Cost]
    notes: list[str]

    @property
    def projected_singular_values(self) -> list[float]:
        """Singular values after the suggested projection, in the order before it."""
        rank, damping = self.suggested_rank, (1 - self.suggested_strength) ** 2
        return [
            s * damping if i < rank else s for i, s in enumerate(self.singular_values)
        ]


def diagnose_pair(
    names: tuple[str, str],
    a: FeatureRows,
    b: FeatureRows,
    both: np.ndarray,
    *,
    ks: Sequence[int] = (5, 10, 20, 50),
    num_centres: int = 1000,
    num_sampled: int = 4000,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> PairDiagnosis:
    """Measure one pair of modalities.

    The covariances and what follows from them are over all items. Neighbours are exact
    among all items, for a seeded sample of centres; the sliced Wasserstein distance is
    that of a seeded sample of items.

    Args:
        names: Names of the two.
        a: The first modality.
        b: The second, over the same items.
        both: Boolean ``[N]``: items with both, at least three.
        ks: Numbers of neighbours to compare; those that fit are used.
        num_centres: Most centres.
        num_sampled: Most items in the sample of the distance.
        seed: Of everything drawn.
        device: Device of the computation, in float64.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> z = rng.normal(size=(300, 1))
        >>> a, b = (
        ...     FeatureRows((z + rng.normal(size=(300, d)) / 9).astype(np.float32))
        ...     for d in (3, 5)
        ... )
        >>> diagnose_pair(("a", "b"), a, b, np.ones(300, bool)).suggested_rank
        1
    """
    moments = pair_moments(a, b, both, seed=seed, device=device)
    cov_a, cov_b = moments.within_a.covariance, moments.within_b.covariance
    cov_ab, num_rows = moments.cov_ab, moments.num_rows
    u, sigma, w = _all_directions(cov_ab)
    suggestion = shared_rank(cov_ab, cov_a, cov_b, num_rows, seed=seed)
    rank = suggestion.rank
    strength = levelling_strength(sigma, rank, suggestion.chance)
    ratios = {
        name: variance_ratios(cov, basis)
        for name, cov, basis in zip(names, (cov_a, cov_b), (u, w), strict=True)
    }
    rng, items = np.random.default_rng(seed), np.flatnonzero(both)
    centres = np.sort(rng.permutation(items)[:num_centres])
    sampled = np.sort(rng.permutation(items)[:num_sampled])

    used_ks = [k for k in ks if k < num_rows] or [num_rows - 1]
    num_neighbours = max(*used_ks, min(NUM_NEIGHBOURS, num_rows - 1))
    ranks = _ranks_of_costs(rank, len(sigma))
    near_a, near_b = (
        nearest_neighbours(
            rows,
            centres,
            both,
            num_neighbours,
            basis=basis,
            ranks=ranks,
            strength=strength,
            device=device,
        )
        for rows, basis in ((a, u), (b, w))
    )
    overlap = {
        str(k): overlap_beside_chance(near_a[0], near_b[0], k, num_rows - 1)
        for k in used_ks
    }
    costs = projection_costs(names, ratios, sigma, ranks, strength, (near_a, near_b))
    x, y = (
        (torch.from_numpy(rows.take(sampled)).to(u) - within.mean_a) @ basis
        for rows, within, basis in (
            (a, moments.within_a, u),
            (b, moments.within_b, w),
        )
    )
    swd_raw, swd = coordinate_distance(x, y, seed)
    x, y = damp_head(x, rank, strength), damp_head(y, rank, strength)
    swd_raw_after, swd_after = coordinate_distance(x, y, seed)
    gap = spectral_gap(sigma, rank)
    of_both = subspace_stability(moments, rank, seed=seed)
    stability = None if of_both is None else dict(zip(names, of_both, strict=True))
    correlations = direction_correlations(cov_a, cov_b, u, sigma, w)[:_SHOWN_DIRECTIONS]
    at_rank = next((cost for cost in costs if cost.rank == rank), None)
    return PairDiagnosis(
        modalities=list(names),
        rows=num_rows,
        singular_values=sigma.tolist(),
        effective_rank=effective_rank(sigma),
        head_energy=head_energy(sigma, rank),
        correlations=correlations,
        variance_shares={
            name: ratio[:_SHOWN_DIRECTIONS].tolist() for name, ratio in ratios.items()
        },
        chance_level=suggestion.chance,
        suggested_rank=rank,
        rank_is_clear=suggestion.is_clear,
        suggested_strength=strength,
        reason=reason(sigma.tolist(), suggestion, strength, gap),
        spectral_gap=gap,
        stability=stability,
        neighbour_overlap=overlap,
        similarities=similarity_densities(names, near_a[0], near_b[0]),
        cka=covariance_cka(cov_ab, cov_a, cov_b),
        cka_by_chance=chance_cka(cov_a, cov_b, num_rows),
        swd=swd,
        swd_after=swd_after,
        swd_raw=swd_raw,
        swd_raw_after=swd_raw_after,
        imbalance_ratio=imbalance_ratio(ratios, rank),
        imbalance_bound=2.0,
        costs=costs,
        notes=pair_notes(
            correlations[:rank],
            {} if at_rank is None else at_rank.energy_removed,
            {name: s.angle_degrees for name, s in (stability or {}).items()},
            {k: (o.low, o.expected_high) for k, o in overlap.items()},
        ),
    )


def _all_directions(cov_ab: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Singular vectors and values of a cross-covariance, none zeroed."""
    u, sigma, w_t = torch.linalg.svd(cov_ab, full_matrices=False)
    # Signs as in shared_directions: the distance is then the same on every machine.
    sign = u.gather(0, u.abs().argmax(dim=0, keepdim=True)).sign()
    return u * sign, sigma, w_t.T * sign


def _ranks_of_costs(rank: int, largest: int) -> list[int]:
    """Half the suggested rank, itself and twice, without repetition; none of 0."""
    return sorted({max(1, rank // 2), rank, min(2 * rank, largest)}) if rank else []
