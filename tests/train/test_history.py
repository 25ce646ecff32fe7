from __future__ import annotations

from mmgraph.train.history import History


def test_figures_of_a_short_run():
    rows = [
        {"epoch": 1, "seconds": 9.0, "valid/recall@20": 0.1, "seconds_evaluation": 4.0},
        {"epoch": 2, "seconds": 1.0},
        {"epoch": 3, "seconds": 3.0, "valid/recall@20": 0.3, "seconds_evaluation": 2.0},
    ]
    history = History(rows, best_epoch=3)
    assert history.epochs == 3
    assert history.best_valid == {"recall@20": 0.3}
    assert history.seconds_per_epoch == 2.0  # the first epoch warms up
    assert history.seconds_per_evaluation == 2.0


def test_an_empty_history_has_no_figures():
    history = History()
    assert (history.epochs, history.best_valid) == (0, {})
    assert history.seconds_per_epoch == 0.0
