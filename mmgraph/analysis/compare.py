"""Systems side by side: spread, intervals, and paired tests against the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mmgraph.analysis.per_user import Measured
from mmgraph.analysis.statistics.intervals import Interval, bootstrap_interval
from mmgraph.analysis.statistics.significance import holm, paired_comparison


@dataclass(frozen=True)
class Difference:
    """A system minus the first one, on the same users.

    ``over_seeds`` is None unless both were run with the same seeds, at least two. The
    p-values are corrected over all systems (Holm).
    """

    base: str
    mean: float
    over_users: Interval
    over_seeds: Interval | None
    t_p_value: float
    wilcoxon_p_value: float


@dataclass(frozen=True)
class Compared:
    """One system and one metric.

    ``sd`` (n - 1) and ``over_seeds`` are None with a single seed; ``difference`` is
    None for the first system.
    """

    label: str
    seeds: tuple[int, ...]
    num_users: int
    mean: float
    sd: float | None
    over_users: Interval
    over_seeds: Interval | None
    difference: Difference | None = None


def compare_systems(
    systems: Sequence[Measured], metric: str = "recall@20", *, seed: int = 0
) -> list[Compared]:
    """Compare systems with the first one.

    Two questions have two spreads. *Over users*: would another group of users give
    another result? Each user's metric is averaged over the seeds, and users are
    resampled; the paired tests ask the same. *Over seeds*: would another run? The
    means of the runs are resampled, or their differences seed by seed.

    Args:
        systems: Systems that were measured on the same users.
        metric: The metric.
        seed: Seed of the resampling.

    Raises:
        ValueError: If there is no system.

    Example:
        >>> import numpy as np
        >>> users, old = np.arange(4), np.array([[0.2, 0.4, 0.5, 0.3]])
        >>> base = Measured("A", (1,), users, {"recall@20": old})
        >>> better = Measured("B", (1,), users, {"recall@20": old + [[0, 0, 0.1, 0.3]]})
        >>> found = compare_systems([base, better])
        >>> [round(row.mean, 3) for row in found], round(found[1].difference.mean, 3)
        ([0.35, 0.45], 0.1)
    """
    if not systems:
        raise ValueError("there is no system to compare")
    rows = [_summary(system, metric, seed) for system in systems]
    differences = [
        _difference(system, systems[0], metric, seed) for system in systems[1:]
    ]
    t = holm([difference.t_p_value for difference in differences])
    wilcoxon = holm([difference.wilcoxon_p_value for difference in differences])
    for n, difference in enumerate(differences):
        corrected = replace(
            difference, t_p_value=float(t[n]), wilcoxon_p_value=float(wilcoxon[n])
        )
        rows[n + 1] = replace(rows[n + 1], difference=corrected)
    return rows


def _summary(system: Measured, metric: str, seed: int) -> Compared:
    values = system.values[metric]
    runs = values.mean(axis=1)
    many = runs.size > 1
    return Compared(
        system.label,
        system.seeds,
        system.users.size,
        float(runs.mean()),
        float(runs.std(ddof=1)) if many else None,
        bootstrap_interval(values.mean(axis=0), seed=seed),
        bootstrap_interval(runs, seed=seed) if many else None,
    )


def _difference(system: Measured, base: Measured, metric: str, seed: int) -> Difference:
    new, old = system.values[metric], base.values[metric]
    users = new.mean(axis=0), old.mean(axis=0)
    tested = paired_comparison(*users, seed=seed)
    over_seeds = None
    if system.seeds == base.seeds and len(system.seeds) > 1:
        runs = new.mean(axis=1) - old.mean(axis=1)
        over_seeds = bootstrap_interval(runs, seed=seed)
    return Difference(
        base.label,
        tested.mean_difference,
        tested.interval,
        over_seeds,
        tested.t_p_value,
        tested.wilcoxon_p_value,
    )
