"""Cost of a projection: the variance and the neighbours that it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from mmgraph.analysis.redundancy.pair_measures import NUM_NEIGHBOURS
from mmgraph.analysis.redundancy.pair_neighbours import overlap_ratios
from mmgraph.knn.search.running_top_k import RunningTopK


@dataclass(frozen=True)
class Cost:
    """Cost of a projection of some rank.

    Attributes:
        rank: Number of directions.
        strength: The suggested strength.
        energy_removed: Fraction of the variance that is removed, by modality.
        shared_energy_removed: Fraction of the squared singular values that is removed.
        neighbours_changed: Fraction of the ten nearest items that are others after it,
            by modality.
    """

    rank: int
    strength: float
    energy_removed: dict[str, float]
    shared_energy_removed: float
    neighbours_changed: dict[str, float]


def projection_costs(
    names: tuple[str, str],
    ratios: Mapping[str, Tensor],
    sigma: Tensor,
    ranks: Sequence[int],
    strength: float,
    neighbours: tuple[Sequence[RunningTopK], Sequence[RunningTopK]],
) -> list[Cost]:
    """Cost of each rank.

    Args:
        names: Of the two modalities.
        ratios: Fraction of the variance of each along the shared directions.
        sigma: Singular values ``[n]``, descending.
        ranks: Ranks of the projections.
        strength: Their strength.
        neighbours: Of each modality, the neighbours by the features as they are and
            then those after the projection of each rank.

    Example:
        >>> projection_costs(("a", "b"), {}, Tensor([1.0]), [], 0.5, ([], []))
        []
    """
    return [
        Cost(
            rank=rank,
            strength=strength,
            energy_removed=energy_removed(ratios, rank, strength),
            shared_energy_removed=shared_energy_removed(sigma, rank, strength),
            neighbours_changed={
                name: 1 - float(overlap_ratios(own[0], own[n], NUM_NEIGHBOURS).mean())
                for name, own in zip(names, neighbours, strict=True)
            },
        )
        for n, rank in enumerate(ranks, start=1)
    ]


def energy_removed(
    ratios: Mapping[str, Tensor], rank: int, strength: float
) -> dict[str, float]:
    r"""Fraction of each modality's variance that a projection removes.

    :math:`2\lambda - \lambda^2` of what lies along the directions.

    Args:
        ratios: :func:`variance_ratios` of each modality.
        rank: Directions that are suppressed.
        strength: By how much.

    Example:
        >>> import torch
        >>> energy_removed({"visual": torch.tensor([0.5, 0.25])}, 1, 0.5)
        {'visual': 0.375}
    """
    damping = 2 * strength - strength**2
    return {name: damping * float(r[:rank].sum()) for name, r in ratios.items()}


def shared_energy_removed(sigma: Tensor, rank: int, strength: float) -> float:
    """Fraction of the squared singular values that is removed (Theorem 5 of CLEAR).

    Args:
        sigma: Singular values ``[n]``, descending, not all zero.
        rank: Directions that are suppressed.
        strength: By how much.

    Example:
        >>> import torch
        >>> shared_energy_removed(torch.tensor([1.0, 1.0]), 1, 0.5)
        0.46875
    """
    square = sigma.square()
    return (1 - (1 - strength) ** 4) * float(square[:rank].sum() / square.sum())
