"""What a projection of some rank and strength takes from two modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from mmgraph.analysis.redundancy.pair_measures import LIST_LENGTH
from mmgraph.analysis.redundancy.pair_neighbours import list_shares
from mmgraph.knn.search.running_top_k import RunningTopK


@dataclass(frozen=True)
class Cost:
    """What a projection of some rank takes.

    Attributes:
        rank: Number of directions.
        strength: The suggested strength.
        energy_removed: Share of each modality's variance that is removed.
        shared_energy_removed: Share of the squared singular values that is removed.
        neighbours_changed: Share of the ten nearest items that are others afterwards,
            in each modality.
    """

    rank: int
    strength: float
    energy_removed: dict[str, float]
    shared_energy_removed: float
    neighbours_changed: dict[str, float]


def projection_costs(
    names: tuple[str, str],
    shares: Mapping[str, Tensor],
    sigma: Tensor,
    ranks: Sequence[int],
    strength: float,
    lists: tuple[Sequence[RunningTopK], Sequence[RunningTopK]],
) -> list[Cost]:
    """Cost of each rank.

    Args:
        names: Of the two modalities.
        shares: Share of the variance of each along the shared directions.
        sigma: Singular values ``[n]``, descending.
        ranks: Ranks of the projections.
        strength: Their strength.
        lists: Of each modality, the lists of the features as they are and then those
            after the projection of each rank.

    Example:
        >>> projection_costs(("a", "b"), {}, Tensor([1.0]), [], 0.5, ([], []))
        []
    """
    return [
        Cost(
            rank=rank,
            strength=strength,
            energy_removed=energy_removed(shares, rank, strength),
            shared_energy_removed=shared_energy_removed(sigma, rank, strength),
            neighbours_changed={
                name: 1 - float(list_shares(own[0], own[n], LIST_LENGTH).mean())
                for name, own in zip(names, lists, strict=True)
            },
        )
        for n, rank in enumerate(ranks, start=1)
    ]


def energy_removed(
    shares: Mapping[str, Tensor], rank: int, strength: float
) -> dict[str, float]:
    r"""Share of each modality's variance that a projection removes.

    :math:`2\lambda - \lambda^2` of what lies along the directions.

    Args:
        shares: :func:`variance_shares` of each modality.
        rank: Directions that are suppressed.
        strength: By how much.

    Example:
        >>> import torch
        >>> energy_removed({"visual": torch.tensor([0.5, 0.25])}, 1, 0.5)
        {'visual': 0.375}
    """
    damping = 2 * strength - strength**2
    return {name: damping * float(s[:rank].sum()) for name, s in shares.items()}


def shared_energy_removed(sigma: Tensor, rank: int, strength: float) -> float:
    """Share of the squared singular values that it removes (Theorem 5 of CLEAR).

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
