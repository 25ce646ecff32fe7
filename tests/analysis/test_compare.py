from __future__ import annotations

import statistics

import numpy as np
import pytest
from reference.intervals import crossed_interval, percentile_interval
from scipy import stats

from mmgraph.analysis.compare import compare_systems, comparison_table
from mmgraph.analysis.per_user import PerUserMetrics

METRIC = "ndcg@20"
RNG = np.random.default_rng(0)
BASE = RNG.random((3, 40))


def system(label, values, seeds=(1, 2, 3)):
    return PerUserMetrics(label, seeds, np.arange(values.shape[1]), {METRIC: values})


SYSTEMS = [
    system("base", BASE),
    system("better", BASE + RNG.normal(0.05, 0.1, BASE.shape)),
    system("same", BASE.copy()),
    system("single", BASE[:1] + RNG.normal(0.02, 0.1, (1, 40)), (1,)),
]


def scipy_interval(values):
    return percentile_interval(values, seed=7)


def test_mean_spread_and_intervals():
    for row, given in zip(
        compare_systems(SYSTEMS, METRIC, seed=7), SYSTEMS, strict=True
    ):
        values = given.values[METRIC]
        runs = [statistics.fmean(run) for run in values.tolist()]
        assert (row.label, row.seeds, row.num_users) == (given.label, given.seeds, 40)
        assert row.mean == pytest.approx(statistics.fmean(runs), abs=1e-12)
        assert row.over_users == pytest.approx(scipy_interval(values.mean(0)))
        if len(runs) == 1:
            assert row.sd is row.over_seeds is None
        else:
            assert row.sd == pytest.approx(statistics.stdev(runs), abs=1e-12)
            assert row.over_seeds == pytest.approx(scipy_interval(values.mean(1)))


def test_differences_and_p_values_are_scipys_corrected_by_holm():
    rows = compare_systems(SYSTEMS, METRIC, seed=7)
    assert rows[0].difference is None
    old = BASE.mean(axis=0)
    raw = []
    for row, given in zip(rows[1:], SYSTEMS[1:], strict=True):
        new = given.values[METRIC].mean(axis=0)
        found = row.difference
        assert found.base == "base"
        assert found.mean == pytest.approx((new - old).mean(), abs=1e-12)
        if row.label == "same":
            assert found.over_users == found.over_seeds == (0, 0)
            raw.append((1.0, 1.0))
            continue
        assert found.over_users == pytest.approx(scipy_interval(new - old))
        raw.append((stats.ttest_rel(new, old).pvalue, stats.wilcoxon(new, old).pvalue))
    paired = SYSTEMS[1].values[METRIC].mean(1) - BASE.mean(1)
    assert rows[1].difference.over_seeds == pytest.approx(scipy_interval(paired))
    assert rows[3].difference.over_seeds is None  # not the seeds of the base
    # Holm by hand: "better" has the smallest p of each test, "same" the largest.
    for n, name in enumerate(("t_p_value", "wilcoxon_p_value")):
        better, same, single = (p[n] for p in raw)
        assert better < single < same
        expected = [3 * better, 1.0, min(1.0, max(3 * better, 2 * single))]
        found = [getattr(row.difference, name) for row in rows[1:]]
        assert found == pytest.approx(expected, abs=1e-12)


def test_no_system_is_refused():
    with pytest.raises(ValueError, match="no system to compare"):
        compare_systems([])


def test_the_table_holds_what_was_compared():
    first, better, _, single = compare_systems(SYSTEMS, METRIC, seed=7)
    table = comparison_table([first, better, single], METRIC)
    assert table.columns[2] == METRIC
    base, row, alone = (dict(zip(table.columns, r, strict=True)) for r in table.rows)
    assert [*base.values()][4:] == [""] * 7
    assert (row["System"], row["Seeds"]) == ("better", "3")
    mean, sd = (f"{x:.4f}" for x in (better.mean, better.sd))
    assert row[METRIC] == f"{mean} ± {sd}"
    low, high = better.difference.over_both
    assert row["Difference 95 %"] == f"{low:+.4f} to {high:+.4f}"
    by_seed = (SYSTEMS[1].values[METRIC] - BASE).mean(axis=1)
    assert row["By seed"] == ", ".join(f"{value:+.4f}" for value in by_seed)
    assert row["Difference"].endswith(" *") == (better.difference.p_value < 0.05)
    assert alone["By seed"] == ""  # not the seeds of the base


def test_the_interval_of_both_is_that_of_the_formulas():
    rows = compare_systems(SYSTEMS, METRIC, seed=7)
    for row, given in zip(rows, SYSTEMS, strict=True):
        values = given.values[METRIC]
        pairs = [(row.over_both, crossed_interval(values))]
        if row.label in ("better", "single"):
            same = given.seeds == (1, 2, 3)
            sides = (values - BASE,) if same else (values, BASE)
            pairs.append((row.difference.over_both, crossed_interval(*sides)))
        for found, (low, high) in pairs:
            assert found == pytest.approx((low, high), abs=0.06 * (high - low))


def test_the_p_values_of_both_are_corrected_by_holm():
    alone = [compare_systems([SYSTEMS[0], s], METRIC)[1] for s in SYSTEMS[1:]]
    better, same, single = (row.difference.p_value for row in alone)
    assert better < single < same == 1.0
    together = [r.difference.p_value for r in compare_systems(SYSTEMS, METRIC)[1:]]
    expected = [3 * better, 1.0, min(1.0, max(3 * better, 2 * single))]
    assert together == pytest.approx(expected)
