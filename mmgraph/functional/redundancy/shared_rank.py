"""Number of shared directions that stand out, and strength to press them down."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

CLEAR_STEP = 0.05  # half the gap at which a planted rank has to be seen
_DRAWS = 32
_DEVIATIONS = 4.0  # of a Tracy-Widom variable: about one false alarm in 3,000


class SharedRank(NamedTuple):
    """A suggested rank and what it rests on.

    Attributes:
        rank: Number of shared directions; 0 if none is above chance.
        is_clear: True if the spectrum falls by a clear step after the rank.
        chance: Largest singular value that chance alone would put at ``rank + 1``.
    """

    rank: int
    is_clear: bool
    chance: float


def shared_rank(
    cov_ab: Tensor, cov_a: Tensor, cov_b: Tensor, num_rows: int, *, seed: int = 0
) -> SharedRank:
    r"""The last clear step of the spectrum that chance does not explain.

    A cut after :math:`i` directions is *clear* if :math:`(\sigma_i - \sigma_{i+1}) /
    \sigma_1 \ge 0.05`, and direction :math:`i` is *above chance* if :math:`\sigma_i`
    exceeds :func:`chance_level` once the :math:`i - 1` directions before it are taken
    out of both covariances. The suggestion is the largest :math:`i` for which both
    hold. Behind it no single direction matters much; before it, dropping one would
    leave a shared direction in that is worth a step. A planted rank whose gap is 0.1
    is found even if sampling halves the gap.

    Where no cut is clear, the largest gap above chance is taken and ``is_clear`` is
    False. It fails where its premises do:

    - a smooth, long tail has no rank; the answer then is a convention, not a finding;
    - two planted steps (a loud and a faint group) are taken as one rank, the larger;
    - a last direction no louder than what two loud private parts reach by chance is
      missed: :math:`\sigma = (1, 0.6, 0.3)` beside five private directions of variance
      2.25 in each modality, N = 2000, gives 2 (chance reaches 0.33);
    - covariance sees size: one dominant axis of one modality fills the head of the
      spectrum even where the two modalities hardly correlate (look at the correlation
      of the coordinates and at the energy that goes with them);
    - rows that are not independent, such as many copies of one row, make chance look
      smaller than it is;
    - what is shared in a non-linear way is not seen at all.

    Args:
        cov_ab: Cross-covariance ``[d_a, d_b]``, float64.
        cov_a: Covariance of the first modality ``[d_a, d_a]``.
        cov_b: Covariance of the second ``[d_b, d_b]``.
        num_rows: Rows that the covariances were taken over.
        seed: Of the chance level.

    Returns:
        Rank, clearness and chance level.

    Example:
        >>> eye = torch.eye(6, dtype=torch.float64)
        >>> cov_ab = torch.diag(torch.tensor([0.9, 0.8, 0, 0, 0, 0]).double())
        >>> shared_rank(cov_ab, eye, eye, num_rows=1000)[:2]
        (2, True)
    """
    u, sigma, w_t = torch.linalg.svd(cov_ab.double(), full_matrices=False)
    if sigma.numel() == 0 or sigma[0] == 0:
        return SharedRank(0, False, 0.0)

    def chance(taken: int) -> float:
        left = deflated_spectrum(cov_a, u[:, :taken])
        right = deflated_spectrum(cov_b, w_t[:taken].T)
        return chance_level(left, right, num_rows, seed=seed)

    gap = (sigma - torch.cat([sigma[1:], sigma.new_zeros(1)])) / sigma[0]
    clear = (gap >= CLEAR_STEP).nonzero().flatten().flip(0).tolist()
    for i in clear:  # at most 20, since the gaps sum to 1
        if sigma[i] > chance(i):
            return SharedRank(i + 1, True, chance(i + 1))
    if sigma[0] > chance(0):
        # A long unclear spectrum is not searched to its end for a gap above chance.
        for i in gap.argsort(descending=True).tolist()[:20]:
            if i not in clear and sigma[i] > chance(i):
                return SharedRank(i + 1, False, chance(i + 1))
    return SharedRank(0, False, chance(0))


def deflated_spectrum(cov: Tensor, basis: Tensor) -> Tensor:
    r"""Eigenvalues of a covariance without the directions of a basis.

    Those of :math:`(I - UU^{\top}) C (I - UU^{\top})`, descending.

    Args:
        cov: Covariance ``[d, d]``.
        basis: Orthonormal columns ``[d, k]``.

    Returns:
        ``[d]``, float64, not negative.

    Example:
        >>> cov = torch.diag(torch.tensor([3.0, 2.0, 1.0]))
        >>> deflated_spectrum(cov, torch.eye(3)[:, :1]).tolist()
        [2.0, 1.0, 0.0]
    """
    cov, basis = cov.double(), basis.double()
    half = cov - basis @ (basis.T @ cov)
    rest = half - (half @ basis) @ basis.T
    values: Tensor = torch.linalg.eigvalsh((rest + rest.T) / 2)
    return values.flip(0).clamp(min=0)


def chance_level(
    spectrum_a: Tensor, spectrum_b: Tensor, num_rows: int, *, seed: int = 0
) -> float:
    r"""Largest singular value of the cross-covariance of unrelated modalities.

    If the rows of two modalities are unrelated, the entries of :math:`\sqrt N C_{ab}`
    have exactly the covariance :math:`C_{aa} \otimes C_{bb}`, and by the central limit
    theorem they are Gaussian: in the eigenbases, :math:`\sqrt N C_{ab} \sim
    \Lambda_a^{1/2} G \Lambda_b^{1/2}` with independent standard normal :math:`G`. So
    the null of randomly matched rows can be drawn without a further pass over the
    data. The level is the mean of the largest singular value over 32 draws plus four
    of its standard deviations.

    Args:
        spectrum_a: Eigenvalues of the first covariance ``[d_a]``.
        spectrum_b: Eigenvalues of the second ``[d_b]``.
        num_rows: N.
        seed: Of the draws.

    Returns:
        The level, in the unit of the singular values.

    Raises:
        ValueError: If ``num_rows`` is below 2.

    Example:
        >>> level = chance_level(torch.ones(4), torch.ones(9), num_rows=10_000)
        >>> 0.05 < level < 0.08  # the two square roots 2 and 3 over that of N, and 4 sd
        True
    """
    if num_rows < 2:
        raise ValueError(f"'num_rows' must be at least 2 (got {num_rows})")
    scale_a, scale_b = (
        spectrum.double().cpu().clamp(min=0).sqrt().numpy()
        for spectrum in (spectrum_a, spectrum_b)
    )
    if len(scale_a) < len(scale_b):
        scale_a, scale_b = scale_b, scale_a
    if scale_a[:1].sum() == 0 or scale_b[:1].sum() == 0:
        return 0.0
    rng = np.random.default_rng(seed)
    largest, last = np.empty(_DRAWS), len(scale_b) - 1
    for n in range(_DRAWS):
        noise = rng.standard_normal((len(scale_a), len(scale_b)))
        noise = scale_a[:, None] * noise * scale_b
        # The largest eigenvalue of the small Gram matrix: no full decomposition.
        (square,) = scipy.linalg.eigh(
            noise.T @ noise, eigvals_only=True, subset_by_index=[last, last]
        )
        largest[n] = np.sqrt(max(square, 0.0) / num_rows)
    return float(largest.mean() + _DEVIATIONS * largest.std(ddof=1))


def levelling_strength(sigma: Tensor, rank: int, floor: float = 0.0) -> float:
    r"""The strength that brings the head of the spectrum down to what follows it.

    A projection of strength :math:`\lambda` multiplies the first ``rank`` singular
    values by :math:`(1 - \lambda)^2` (Theorem 5 of CLEAR, 2026). With :math:`\lambda =
    1 - \sqrt{\sigma_{k+1} / \sigma_1}` the first one ends at the level of the next.

    Args:
        sigma: Singular values ``[n]``, descending.
        rank: ``k``.
        floor: Chance level, taken in place of :math:`\sigma_{k+1}` where it is larger:
            nothing has to be pressed below it.

    Returns:
        The strength in ``[0, 1]``; 0 for rank 0.

    Example:
        >>> levelling_strength(torch.tensor([4.0, 3.0, 1.0]), rank=2)
        0.5
    """
    if rank == 0 or sigma[0] == 0:
        return 0.0
    after = float(sigma[rank]) if rank < sigma.numel() else 0.0
    ratio = max(after, floor) / float(sigma[0])
    return float(1 - min(1.0, ratio) ** 0.5)
