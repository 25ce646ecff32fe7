"""Systems side by side: deviation, intervals, paired tests against the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mmgraph.analysis.per_user import PerUserMetrics
from mmgraph.analysis.report.formatting import (
    decimals,
    interval_text,
    p_value_text,
    signed_interval_text,
    signed_series_text,
    spread_text,
    starred_text,
)
from mmgraph.analysis.report.table import Table
from mmgraph.analysis.statistics.crossed_bootstrap import crossed_bootstrap
from mmgraph.analysis.statistics.intervals import Interval, bootstrap_interval
from mmgraph.analysis.statistics.significance import (
    HOW_COMPARED,
    RunsComparison,
    compare_runs,
    holm_corrected,
)

#: What a reader of :func:`comparison_table` must know.
NOTES = (
    "Test metrics, mean and sd over seeds, with a 95 % interval over users and seeds "
    "(of a single seed: over users). Differences to the first system; by seed: of the "
    "runs of each seed.",
    HOW_COMPARED,
)


@dataclass(frozen=True)
class Difference:
    """A system minus the first one, on the same users.

    ``over_users`` and ``over_seeds`` resample one of the two, ``over_both`` both.
    ``over_seeds`` is None unless both were run with the same seeds, at least two,
    ``per_seed`` (the difference of each seed) unless both were run with the same ones.
    ``p_value`` is that of ``over_both``; all p-values are corrected over all systems
    (Holm). ``detectable`` is the smallest difference that would be told from 0 in four
    of five experiments like this one.
    """

    base: str
    mean: float
    over_users: Interval
    over_seeds: Interval | None
    t_p_value: float
    wilcoxon_p_value: float
    over_both: Interval
    per_seed: tuple[float, ...] | None
    p_value: float
    detectable: float


@dataclass(frozen=True)
class ComparedSystem:
    """One metric of one system, and its difference to the first system.

    ``sd`` (n - 1) and ``over_seeds`` are None with a single seed, where ``over_both``
    is of users alone; ``difference`` is None for the first system.
    """

    label: str
    seeds: tuple[int, ...]
    num_users: int
    mean: float
    sd: float | None
    over_users: Interval
    over_seeds: Interval | None
    over_both: Interval
    difference: Difference | None = None


def compare_systems(
    systems: Sequence[PerUserMetrics], metric: str = "recall@20", *, seed: int = 0
) -> list[ComparedSystem]:
    """Compare systems with the first one.

    Two questions have two spreads. *Over users*: would another group of users give
    another result? Each user's metric is averaged over the seeds, and users are
    resampled; the paired tests ask the same. *Over seeds*: would another run? The
    means of the runs are resampled, or their differences seed by seed. *Over both*:
    would another experiment? That is the one to go by
    (:func:`~mmgraph.analysis.statistics.crossed_bootstrap.crossed_bootstrap`).

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
    compared = holm_corrected(
        [
            compare_runs(
                system.values[metric],
                first.values[metric],
                same_seeds=system.seeds == first.seeds,
                seed=seed,
            )
            for system in others
        ]
    )
    return [
        _summary(first, metric, seed),
        *(
            replace(
                _summary(system, metric, seed),
                difference=_difference(first.label, tested, seed),
            )
            for system, tested in zip(others, compared, strict=True)
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
        *("System", "Seeds", metric, "95 %"),
        *("Difference", "Difference 95 %", "By seed", "Detectable"),
        *("p", "p (t)", "p (Wilcoxon)"),
    )
    return Table(columns, [_cells(system) for system in systems])


def _cells(system: ComparedSystem) -> list[str]:
    texts = [
        system.label,
        str(len(system.seeds)),
        spread_text(system.mean, system.sd),
        interval_text(system.over_both),
    ]
    difference = system.difference
    if difference is None:
        return texts + [""] * 7
    return [
        *texts,
        starred_text(difference.mean, difference.p_value),
        signed_interval_text(difference.over_both),
        signed_series_text(difference.per_seed),
        decimals(difference.detectable),
        p_value_text(difference.p_value),
        p_value_text(difference.t_p_value),
        p_value_text(difference.wilcoxon_p_value),
    ]


def _summary(system: PerUserMetrics, metric: str, seed: int) -> ComparedSystem:
    values = system.values[metric]
    runs = values.mean(axis=1)
    many = runs.size > 1
    both = crossed_bootstrap(values, seed=seed)
    return ComparedSystem(
        system.label,
        system.seeds,
        system.users.size,
        float(runs.mean()),
        float(runs.std(ddof=1)) if many else None,
        both.over_users,
        bootstrap_interval(runs, seed=seed) if many else None,
        both.interval,
    )


def _difference(base: str, compared: RunsComparison, seed: int) -> Difference:
    both, per_seed = compared.over_both, compared.per_seed
    over_seeds = None
    if per_seed is not None and len(per_seed) > 1:
        over_seeds = bootstrap_interval(per_seed, seed=seed)
    return Difference(
        base,
        both.mean,
        both.over_users,
        over_seeds,
        compared.t_p_value,
        compared.wilcoxon_p_value,
        both.interval,
        per_seed,
        both.p_value,
        both.detectable,
    )
