"""Paired tests over users, with Holm's correction for many comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from mmgraph.analysis.statistics.crossed_bootstrap import (
    CrossedMean,
    crossed_bootstrap,
)
from mmgraph.analysis.statistics.intervals import Interval, bootstrap_interval

#: What a reader of a table of :class:`RunsComparison` must know.
HOW_COMPARED = (
    "95 %: interval of the difference, users and seeds resampled alike; a system that "
    "was run once is taken as it is, so that of two such systems it speaks of users "
    "alone. Split and options are not resampled, and each interval is of its row by "
    "itself. p: of a difference of 0, by the same; p (t), p (Wilcoxon): of paired "
    "tests over users alone, each one's metric averaged over the seeds. All p are "
    "corrected over the table by Holm's method; * marks p below 0.05. Detectable: the "
    "smallest true difference that would be seen, before that correction, in four of "
    "five experiments like this one."
)


@dataclass(frozen=True)
class PairedComparison:
    """Difference of two systems over the same users, ``variant - base``.

    ``interval`` is the 95 % bootstrap interval of its mean.
    """

    mean_difference: float
    interval: Interval
    num_users: int
    t_p_value: float
    wilcoxon_p_value: float


def paired_comparison(
    variant: ArrayLike, base: ArrayLike, *, seed: int = 0
) -> PairedComparison:
    """Compare two systems user by user: Student's paired t and Wilcoxon signed rank.

    Both tests are two-sided. Wilcoxon drops users without a difference (Wilcoxon,
    1945). Systems that agree on every user get p = 1 from both tests.

    Args:
        variant: A metric of each user.
        base: The same metric of the same users under the other system.
        seed: Seed of the bootstrap.

    Raises:
        ValueError: If the two differ in shape, or fewer than two users are given.

    Example:
        >>> result = paired_comparison([0.2, 0.4, 0.5, 0.3], [0.1, 0.2, 0.2, 0.1])
        >>> round(result.mean_difference, 3), round(result.wilcoxon_p_value, 3)
        (0.2, 0.125)
    """
    new, old = np.asarray(variant, np.float64), np.asarray(base, np.float64)
    if new.shape != old.shape or new.ndim != 1 or new.size < 2:
        raise ValueError(
            "both systems need the same users, at least two "
            f"(got shapes {new.shape} and {old.shape})"
        )
    difference = new - old
    t_p, wilcoxon_p = _paired_tests(difference)
    interval = bootstrap_interval(difference, seed=seed)
    return PairedComparison(
        float(difference.mean()), interval, new.size, t_p, wilcoxon_p
    )


def _paired_tests(difference: NDArray[np.float64]) -> tuple[float, float]:
    """p-values of Student's t and of Wilcoxon's test, two-sided."""
    # Without this, t is 0/0 for equal systems and infinite for a constant shift.
    if not difference.any():
        return 1.0, 1.0
    zeros = np.zeros_like(difference)
    constant = np.ptp(difference) == 0
    t_p = 0.0 if constant else float(stats.ttest_rel(difference, zeros).pvalue)
    return t_p, float(stats.wilcoxon(difference[difference != 0]).pvalue)


@dataclass(frozen=True)
class RunsComparison:
    """Difference of two systems over the same users and over runs.

    Attributes:
        over_both: Its mean over users and seeds, with all that is said of it.
        per_seed: The difference of the two runs of each seed; None where the systems
            were run with other seeds.
        num_users: Number of users.
        t_p_value: Of the paired t test over users, each one's metric averaged over
            the seeds.
        wilcoxon_p_value: Of Wilcoxon's signed-rank test over the same.
    """

    over_both: CrossedMean
    per_seed: tuple[float, ...] | None
    num_users: int
    t_p_value: float
    wilcoxon_p_value: float


def compare_runs(
    variant: ArrayLike, base: ArrayLike, *, same_seeds: bool, seed: int = 0
) -> RunsComparison:
    """Compare the runs of two systems, user by user.

    Args:
        variant: A metric of each run and user.
        base: The same metric of the same users under the other system.
        same_seeds: True if run :math:`n` of both has the same seed: then the two are
            compared seed by seed.
        seed: Seed of the bootstrap.

    Shapes:
        variant: ``[S, U]``; base: ``[S', U]``.

    Raises:
        ValueError: If they are not of the same users, or there are fewer than two.

    Example:
        >>> base = [[0.1, 0.2, 0.2, 0.1]]
        >>> result = compare_runs([[0.2, 0.4, 0.5, 0.3]], base, same_seeds=True)
        >>> round(result.over_both.mean, 3), [round(d, 3) for d in result.per_seed]
        (0.2, [0.2])
    """
    new, old = np.asarray(variant, np.float64), np.asarray(base, np.float64)
    if same_seeds:
        over_both = crossed_bootstrap(new - old, seed=seed)
        per_seed = tuple((new - old).mean(axis=1).tolist())
    else:
        over_both, per_seed = crossed_bootstrap(new, old, seed=seed), None
    t_p, wilcoxon_p = _paired_tests(new.mean(axis=0) - old.mean(axis=0))
    return RunsComparison(over_both, per_seed, new.shape[1], t_p, wilcoxon_p)


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    r"""Holm's step-down adjusted p-values (Holm, 1979), in the order given.

    .. math::
        \tilde p_{(i)} = \max_{j \le i} \min\{1, (m - j + 1)\, p_{(j)}\}

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(1.0, p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(stepped)
    return adjusted


def holm_corrected(comparisons: Sequence[RunsComparison]) -> list[RunsComparison]:
    """Comparisons of one table with the p-values of each test corrected over all.

    Example:
        >>> base = [[0.1, 0.2, 0.2, 0.1]]
        >>> one = compare_runs([[0.2, 0.4, 0.5, 0.3]], base, same_seeds=True)
        >>> [round(c.wilcoxon_p_value, 3) for c in holm_corrected([one, one])]
        [0.25, 0.25]
    """
    both = holm([comparison.over_both.p_value for comparison in comparisons])
    t = holm([comparison.t_p_value for comparison in comparisons])
    wilcoxon = holm([comparison.wilcoxon_p_value for comparison in comparisons])
    return [
        replace(
            comparison,
            over_both=replace(comparison.over_both, p_value=float(p)),
            t_p_value=float(t_p),
            wilcoxon_p_value=float(wilcoxon_p),
        )
        for comparison, p, t_p, wilcoxon_p in zip(
            comparisons, both, t, wilcoxon, strict=True
        )
    ]
