from __future__ import annotations

import pytest

from mmgraph.analysis.reproduce.estimator_fit import estimator_fits, estimator_table


def row(epoch, clamped, own=None, refitted=None):
    out = {"epoch": epoch, "loss/bpr": 0.5, "measure/a/b/clamped": clamped}
    if own is not None:
        out |= {"measure/a/b/bound_own": own, "measure/a/b/bound_refitted": refitted}
    return out


def test_epochs_after_the_first_are_averaged_and_the_last_evaluation_counts():
    history = [row(1, 1.0, 0.5, 5.0), row(2, 0.5, 3.0, 4.0), row(3, 0.25)]
    (name,), (fit,) = zip(*estimator_fits(history).items(), strict=True)
    assert name == "a/b"
    assert (fit.clamped_first, fit.clamped_after) == (1.0, pytest.approx(0.375))
    assert (fit.own, fit.refitted) == (3.0, 4.0)
    table = estimator_table({name: fit}, "Fit")
    assert table.rows == [["a/b", "100 %", "38 %", 3.0, 4.0, "75 %"]]


def test_of_one_epoch_and_of_a_bound_below_zero():
    fits = estimator_fits([row(1, 0.5, 1.0, -0.5)])
    assert fits["a/b"].clamped_after is None
    assert estimator_table(fits, "").rows == [["a/b", "50 %", "", 1.0, -0.5, ""]]


def test_other_measures_are_none():
    assert estimator_fits([{"epoch": 1, "measure/visual/rank": 2}]) == {}
    # A variant without a bound has neither.
    assert estimator_fits([]) == {}
