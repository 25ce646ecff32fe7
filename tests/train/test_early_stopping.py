from __future__ import annotations

import pytest

from mmgraph.train.early_stopping import EarlyStopping


def epochs_trained(values, **options):
    stopping = EarlyStopping(**options)
    for epoch, value in enumerate(values, 1):
        stopping.update(epoch, value)
        if stopping.should_stop(epoch):
            return epoch, stopping
    return len(values), stopping


def test_stops_when_the_count_exceeds_the_patience():
    stopped, stopping = epochs_trained([0.5] + [0.4] * 50, patience=20)
    assert stopped == 22  # the 21st evaluation in a row without improvement
    assert stopping.best_epoch == 1


def test_equal_values_do_not_improve_but_the_smallest_gain_does():
    stopping = EarlyStopping(patience=0)
    assert stopping.update(1, 0.30001)
    assert not stopping.update(2, 0.30001)
    assert stopping.update(3, 0.30002)


def test_min_epochs_outlast_a_plateau():
    values = [0.1] * 10 + [0.5]
    assert epochs_trained(values, patience=2)[0] == 4
    stopped, stopping = epochs_trained(values, patience=2, min_epochs=11)
    assert (stopped, stopping.best_epoch) == (11, 11)
    assert epochs_trained([0.1] * 10, patience=2, min_epochs=6)[0] == 6
    assert epochs_trained([0.1] * 10, patience=0)[0] == 2


def test_negative_patience_is_refused():
    with pytest.raises(ValueError, match=r"'patience' must be at least 0 \(got -1\)"):
        EarlyStopping(-1)


def test_what_is_no_number_is_no_improvement():
    stopping = EarlyStopping(patience=1)
    assert stopping.best_epoch == 0
    assert not stopping.update(1, float("nan"))
    assert (stopping.best_epoch, stopping.should_stop(1)) == (0, False)
    assert not stopping.update(2, float("nan"))
    assert (stopping.best_epoch, stopping.should_stop(2)) == (0, True)
    assert stopping.update(3, 0.0)
    assert (stopping.best_epoch, stopping.should_stop(3)) == (3, False)
