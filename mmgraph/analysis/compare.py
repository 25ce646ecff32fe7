"""Systems side by side: deviation, intervals, paired tests against the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mmgraph.analysis.per_user import PerUserMetrics
from mmgraph.analysis.report.formatting import (
    interval_text,
    p_value_text,
    signed_interval_text,
    spread_text,
)
from mmgraph.analysis.report.table import Table
from mmgraph.analysis.statistics.intervals import Interval, bootstrap_interval
from mmgraph.analysis.statistics.significance import (
    PairedComparison,
    holm_corrected,
    paired_comparison,
)

#: What a reader of :func:`comparison_table` must know.
NOTES = (
    "Test metrics, each user's averaged over the seeds; sd over seeds. 95 % intervals: "
    "percentile bootstrap of users, or of seeds. Differences to the first system.",
    "p of the paired t test and of Wilcoxon's signed-rank test over users, corrected "
    "over the table by Holm's method. They speak of users, not of seeds.",
)


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
class ComparedSystem:
    """One metric of one system, and its difference to the first system.

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
    systems: Sequence[PerUserMetrics], metric: str = "recall@20", *, seed: int = 0
) -> list[ComparedSystem]:
    """Compare systems with the first one.

    Two questions have two spreads. *Over users*: would another group of users give
    another result? Each user's metric is averaged over the seeds, and users are
    resampled; the paired tests ask the same. *Over seeds*: would another run? The
    means of the runs are resampled, or their differences seed by seed.

    Args:
        systems: Metrics of the systems, of the same users.
        metric: The metric.
        seed: Seed of the resampling.

    Raises:
        ValueError: If there is no system.

    Example:
        >>> import numpy as np
        >>> users, old = np.arange(4), np.array([[0.2, 0.4, 0.5, 0.3]])
        >>> base = PerUserMetrics("A", (1,), users, {"recall@20": old})
        >>> new = old + [[0, 0, 0.1, 0.3]]
        >>> better = PerUserMetrics("B", (1,), users, {"recall@20": new})
        >>> rows = compare_systems([base, better])
        >>> [round(row.mean, 3) for row in rows], round(rows[1].difference.mean, 3)
        ([0.35, 0.45], 0.1)
    """
    if not systems:
        raise ValueError("there is no system to compare")
    first, *others = systems
    users = [system.values[metric].mean(axis=0) for system in systems]
    paired = holm_corrected(
        [paired_comparison(new, users[0], seed=seed) for new in users[1:]]
    )
    return [
        _summary(first, metric, seed),
        *(
            replace(
                _summary(system, metric, seed),
                difference=_difference(system, first, metric, tested, seed),
            )
            for system, tested in zip(others, paired, strict=True)
        ),
    ]


def comparison_table(systems: Sequence[ComparedSystem], metric: str) -> Table:
    """The systems as texts, a row each.

    Args:
        systems: As :func:`compare_systems` returns them.
        metric: The metric they were compared in.

    Example:
        >>> comparison_table([], "recall@20").columns[:3]
        ('System', 'Seeds', 'recall@20')
    """
    columns = (
        *("System", "Seeds", metric, "95 %, users", "95 %, seeds"),
        *("Difference", "Difference 95 %, users", "Difference 95 %, seeds"),
        *("p (t)", "p (Wilcoxon)"),
    )
    return Table(columns, [_cells(system) for system in systems])


def _cells(system: ComparedSystem) -> list[str]:
    texts = [
        system.label,
        str(len(system.seeds)),
        spread_text(system.mean, system.sd),
        interval_text(system.over_users),
        interval_text(system.over_seeds),
    ]
    difference = system.difference
    if difference is None:
        return texts + [""] * 5
    return [
        *texts,
        f"{difference.mean:+.4f}",
        signed_interval_text(difference.over_users),
        signed_interval_text(difference.over_seeds),
        p_value_text(difference.t_p_value),
        p_value_text(difference.wilcoxon_p_value),
    ]


def _summary(system: PerUserMetrics, metric: str, seed: int) -> ComparedSystem:
    values = system.values[metric]
    runs = values.mean(axis=1)
    many = runs.size > 1
    return ComparedSystem(
        system.label,
        system.seeds,
        system.users.size,
        float(runs.mean()),
        float(runs.std(ddof=1)) if many else None,
        bootstrap_interval(values.mean(axis=0), seed=seed),
        bootstrap_interval(runs, seed=seed) if many else None,
    )


def _difference(
    system: PerUserMetrics,
    base: PerUserMetrics,
    metric: str,
    paired: PairedComparison,
    seed: int,
) -> Difference:
    over_seeds = None
    if system.seeds == base.seeds and len(system.seeds) > 1:
        runs = system.values[metric].mean(axis=1) - base.values[metric].mean(axis=1)
        over_seeds = bootstrap_interval(runs, seed=seed)
    return Difference(
        base.label,
        paired.mean_difference,
        paired.interval,
        over_seeds,
        paired.t_p_value,
        paired.wilcoxon_p_value,
    )
