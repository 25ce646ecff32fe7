"""Overlap of nearest neighbours by chance alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class ChanceOverlap(NamedTuple):
    """Mean overlap of random neighbours: its expectation and a central interval."""

    expected: float
    low: float
    high: float


def chance_overlap(
    k: int, num_candidates: int, num_centres: int = 1, confidence: float = 0.95
) -> ChanceOverlap:
    r"""Overlap of random sets of neighbours.

    Two sets of :math:`K` out of :math:`n` candidates share a hypergeometric number of
    neighbours, so the expected overlap is :math:`K / n` (:math:`n = N - 1` without the
    item itself). The mean over :math:`c` centres is the sum of :math:`c` independent
    such counts over :math:`cK`; its distribution is the :math:`c`-fold convolution of
    the hypergeometric one, computed exactly.

    Args:
        k: Neighbours :math:`K` of each centre.
        num_candidates: :math:`n`, at least ``k``.
        num_centres: :math:`c`.
        confidence: Of the central interval.

    Returns:
        Expectation, and the ends of the interval, all as fractions of ``k``.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> chance = chance_overlap(10, 999, num_centres=500)
        >>> [round(value, 4) for value in chance]
        [0.01, 0.0074, 0.0128]
    """
    if not 1 <= k <= num_candidates or num_centres < 1 or not 0 < confidence < 1:
        raise ValueError(
            "need 1 <= k <= candidates, a centre and a confidence in (0, 1) "
            f"(got {k}, {num_candidates}, {num_centres}, {confidence})"
        )
    from scipy import stats  # a second to load: not for all who import a layer

    mass = stats.hypergeom(num_candidates, k, k).pmf(np.arange(k + 1))
    total = num_centres * k
    spectrum = np.fft.rfft(mass, total + 1) ** num_centres
    below = np.fft.irfft(spectrum, total + 1).cumsum()
    tail = (1 - confidence) / 2
    low, high = np.searchsorted(below, [tail, 1 - tail])
    return ChanceOverlap(k / num_candidates, int(low) / total, int(high) / total)
