"""Nearest neighbours in two modalities, before and after a projection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmgraph.analysis.statistics.intervals import student_interval
from mmgraph.data import FeatureRows
from mmgraph.functional import chance_overlap, neighbour_overlap
from mmgraph.knn.search.running_top_k import RunningTopK

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Overlap:
    """Fraction of the K nearest items that two modalities have in common.

    Attributes:
        value: Mean over the centres.
        low: Lower end of its 95 % interval, the centres being a sample (Student's t).
        high: Upper end.
        expected: That of random neighbours, ``K / (N - 1)``.
        expected_low: Lower end of the interval in which the mean over as many centres
            with random neighbours lies with 95 %.
        expected_high: Upper end.
    """

    value: float
    low: float
    high: float
    expected: float
    expected_low: float
    expected_high: float


def nearest_neighbours(
    rows: FeatureRows,
    centres: np.ndarray,
    used: np.ndarray,
    k: int,
    *,
    basis: Tensor | None = None,
    ranks: Sequence[int] = (),
    strength: float = 0.0,
    device: torch.device | str = "cpu",
) -> list[RunningTopK]:
    r"""Exact cosine neighbours of some items among all, in one pass over the rows.

    The neighbours after a projection cost no second product over all dimensions: with
    :math:`c = 2\lambda - \lambda^2`, :math:`\langle \tilde q, \tilde x \rangle =
    \langle q, x \rangle - c \, \langle q U_k, x U_k \rangle`.

    Args:
        rows: The modality.
        centres: Ascending item numbers.
        used: Boolean ``[N]``: the items that may be neighbours.
        k: Neighbours of each, fewer than the items used.
        basis: Orthonormal columns ``[D, >= max(ranks)]``.
        ranks: Ranks of the projections to compare with.
        strength: Their strength.
        device: Device of the computation, in float64.

    Returns:
        The neighbours by the features as they are, then those after each projection.

    Example:
        >>> rows = FeatureRows(np.array([[1, 0], [1, 1], [0, 1]], np.float32))
        >>> (near,) = nearest_neighbours(rows, np.array([0]), np.ones(3, bool), 2)
        >>> near.neighbour.tolist()
        [[1, 2]]
    """
    query = torch.from_numpy(rows.take(centres)).to(device).double()
    largest = max(ranks, default=0)
    u = query.new_zeros(rows.dim, 0) if basis is None else basis[:, :largest].to(query)
    damping = 2 * strength - strength**2
    neighbours = [RunningTopK(len(centres), k, device=device) for _ in (0, *ranks)]
    inside_q = query @ u
    for start, block in rows.blocks():
        x = torch.from_numpy(block).to(device).double()
        stop = start + len(x)
        out = torch.from_numpy(~used[start:stop]).to(device)
        dot, inside = query @ x.T, x @ u
        own = slice(*np.searchsorted(centres, [start, stop]))
        centre = torch.arange(len(centres), device=device)[own]
        self_row = torch.from_numpy(centres[own] - start).to(device)
        for rank, nearest in zip((0, *ranks), neighbours, strict=True):
            left, right = inside_q[:, :rank], inside[:, :rank]
            cosine = torch.addmm(dot, left, right.T, alpha=-damping) if rank else dot
            scale_q = _remaining_norm(query, left, damping).reciprocal()
            scale_x = _remaining_norm(x, right, damping).reciprocal()
            cosine = (cosine * scale_q[:, None]).mul_(scale_x)
            unusable = out | (scale_x == 0)
            if unusable.any():
                cosine[:, unusable] = -torch.inf
            cosine[centre, self_row] = -torch.inf
            nearest.add_tile(cosine, start)
    return neighbours


def _remaining_norm(x: Tensor, inside: Tensor, damping: float) -> Tensor:
    """Length after the projection; infinite where nothing but rounding is left."""
    full = x.square().sum(dim=1)
    square = full - damping * inside.square().sum(dim=1)
    return torch.where(square > 1e-12 * full, square, torch.inf).sqrt()


def overlap_beside_chance(
    a: RunningTopK, b: RunningTopK, k: int, num_candidates: int
) -> Overlap:
    """Overlap of the first ``k`` neighbours in two modalities, beside chance.

    Args:
        a: Neighbours of the centres in one modality.
        b: Their neighbours in the other.
        k: Neighbours to compare.
        num_candidates: Items that could be a neighbour.

    Example:
        >>> a, b = RunningTopK(1, 2), RunningTopK(1, 2)
        >>> a.add_tile(torch.tensor([[0.9, 0.8, 0.1]]), 0)
        >>> b.add_tile(torch.tensor([[0.9, 0.1, 0.8]]), 0)
        >>> overlap = overlap_beside_chance(a, b, 2, num_candidates=10)
        >>> overlap.value, overlap.expected
        (0.5, 0.2)
    """
    ratios = overlap_ratios(a, b, k)
    low, high = (
        max(0.0, min(1.0, end)) for end in student_interval(ratios, level=CONFIDENCE)
    )
    chance = chance_overlap(k, num_candidates, len(ratios), CONFIDENCE)
    return Overlap(float(ratios.mean()), low, high, *chance)


def overlap_ratios(a: RunningTopK, b: RunningTopK, k: int) -> np.ndarray:
    """Fraction of the first ``k`` neighbours in common, one value per centre.

    Args:
        a: Neighbours of the centres.
        b: Other neighbours of the same centres.
        k: Neighbours to compare, all if there are fewer.

    Example:
        >>> a = RunningTopK(1, 2)
        >>> a.add_tile(torch.tensor([[0.9, 0.8, 0.1]]), 0)
        >>> overlap_ratios(a, a, 2).tolist()
        [1.0]
    """
    k = min(k, a.neighbour.size(1))
    # Centres and neighbours are numbered apart: only rows of one centre can meet.
    both, number = torch.cat([a.neighbour[:, :k], b.neighbour[:, :k]]).unique(
        return_inverse=True
    )
    centre = torch.arange(len(a.neighbour), device=both.device).repeat_interleave(k)
    of_a, of_b = (torch.stack([part.flatten(), centre]) for part in number.chunk(2))
    num_nodes = max(len(both), len(a.neighbour))
    ratios = neighbour_overlap(of_a, of_b, num_nodes, per_node=True)
    return ratios[: len(a.neighbour)].cpu().numpy()
