"""Covariances of two modalities in one pass, ready to be resampled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from scipy.linalg import subspace_angles
from torch import Tensor

from mmgraph.data import FeatureRows
from mmgraph.functional import CrossMoments, merge_moments

FOLDS = (4, 16)  # least and most
_FOLD_BYTES = 2**29


@dataclass(frozen=True)
class PairMoments:
    """Moments of two modalities over the items that have both.

    Attributes:
        within_a: Moments of the first modality with itself.
        within_b: Moments of the second with itself.
        folds: Cross-moments of disjoint random parts of the items. Any half of them is
            a half-sample, without another pass over the data.
    """

    within_a: CrossMoments
    within_b: CrossMoments
    folds: list[CrossMoments]

    @property
    def num_rows(self) -> int:
        """Items that have both modalities."""
        return self.within_a.count

    @property
    def cov_ab(self) -> Tensor:
        """Cross-covariance over all items that have both."""
        return merge_moments(self.folds).covariance


def pair_moments(
    a: FeatureRows,
    b: FeatureRows,
    both: np.ndarray,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> PairMoments:
    """Gather the moments of two modalities, a block of items at a time.

    Args:
        a: The first modality.
        b: The second, over the same items.
        both: Boolean ``[N]``: the items to use.
        seed: Of the random parts.
        device: Device of the sums.

    Example:
        >>> x = np.arange(12, dtype=np.float32).reshape(6, 2)
        >>> rows = FeatureRows(x)
        >>> moments = pair_moments(rows, rows, np.arange(6) < 4)
        >>> moments.num_rows, moments.cov_ab.round(decimals=6).tolist()
        (4, [[5.0, 5.0], [5.0, 5.0]])
    """
    # Wide pairs get fewer parts, so that these stay within half a gibibyte.
    least, most = FOLDS
    num_folds = max(least, min(most, _FOLD_BYTES // (8 * a.dim * b.dim)))
    within_a = CrossMoments(a.dim, a.dim, device=device)
    within_b = CrossMoments(b.dim, b.dim, device=device)
    folds = [CrossMoments(a.dim, b.dim, device=device) for _ in range(num_folds)]
    generator = torch.Generator().manual_seed(seed)
    for (start, block_a), (_, block_b) in zip(a.blocks(), b.blocks(), strict=True):
        used = both[start : start + len(block_a)]
        rows_a, rows_b = (
            torch.from_numpy(block[used]).to(device).double()
            for block in (block_a, block_b)
        )
        within_a.update(rows_a, rows_a)
        within_b.update(rows_b, rows_b)
        fold = torch.randint(num_folds, (len(rows_a),), generator=generator).to(device)
        for number, moments in enumerate(folds):
            moments.update(rows_a[fold == number], rows_b[fold == number])
    return PairMoments(within_a, within_b, folds)


@dataclass(frozen=True)
class Stability:
    """Agreement of two halves of the items on the shared subspace.

    Attributes:
        angle_degrees: Largest principal angle between the subspaces of the two halves
            of a split, the mean over the splits; 0 equal, 90 a direction of one half
            is foreign to the other.
        affinity: Mean squared cosine of all principal angles, 1 if equal.
        chance_affinity: That of two random subspaces, rank over dimension.
    """

    angle_degrees: float
    affinity: float
    chance_affinity: float


def subspace_stability(
    moments: PairMoments, rank: int, *, num_splits: int = 10, seed: int = 0
) -> tuple[Stability, Stability] | None:
    """Compare the shared directions that two halves of the items have.

    Half-samples hold half the items, so the angles of the whole catalogue are smaller,
    by about the square root of two.

    Args:
        moments: Moments of the pair.
        rank: Number of directions.
        num_splits: Random splits into halves.
        seed: Of the splits.

    Returns:
        Stability in the first and in the second modality; None for rank 0, or where
        there are too few items to split.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
        >>> rows = FeatureRows(x * [1, 9])
        >>> of_a, _ = subspace_stability(pair_moments(rows, rows, x[:, 0] < 9), 1)
        >>> of_a.angle_degrees < 2
        True
    """
    if rank == 0:
        return None
    angles: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for half, other in islice(_halves(moments.folds, seed), num_splits):
        if min(half.count, other.count) <= rank:
            return None
        bases = [_bases(part.covariance, rank) for part in (half, other)]
        for of_modality, one, two in zip(angles, *bases, strict=True):
            of_modality.append(subspace_angles(one, two))
    dims = moments.cov_ab.shape
    of_a, of_b = (
        Stability(
            angle_degrees=float(np.degrees([a.max() for a in splits]).mean()),
            affinity=float(np.square(np.cos(splits)).mean()),
            chance_affinity=rank / dim,
        )
        for splits, dim in zip(angles, dims, strict=True)
    )
    return of_a, of_b


def _halves(
    folds: list[CrossMoments], seed: int
) -> Iterator[tuple[CrossMoments, CrossMoments]]:
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(len(folds))
        middle = len(folds) // 2
        yield (
            merge_moments(folds[n] for n in order[:middle]),
            merge_moments(folds[n] for n in order[middle:]),
        )


def _bases(cov: Tensor, rank: int) -> tuple[np.ndarray, np.ndarray]:
    u, _, w_t = torch.linalg.svd(cov, full_matrices=False)
    return u[:, :rank].cpu().numpy(), w_t[:rank].T.cpu().numpy()
