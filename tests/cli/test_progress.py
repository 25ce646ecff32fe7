from __future__ import annotations

import pytest

from mmgraph.cli.progress import training_bar, training_bars, user_bar

ROW = {"epoch": 3, "loss/bpr": 0.25, "loss/reg": 0.5, "valid/recall@20": 0.125}


def test_several_runs_at_once_leave_a_line_each_where_there_is_no_terminal(capsys):
    with training_bars() as watch:
        first, second = watch("VBPR", 1, 10), watch("SEA", 2, 20)
        tell_first, tell_second = first.__enter__(), second.__enter__()
        tell_second({"epoch": 1, "loss/bpr": 1.5})
        tell_first(ROW)
        first.__exit__(None, None, None)  # the one that began first ends first
        second.__exit__(None, None, None)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "VBPR seed 1 epoch 3/10 loss 0.7500 valid recall@20 0.1250",
        "SEA seed 2 epoch 1/20 loss 1.5000",
    ]


def test_a_single_run_has_the_same_line(capsys):
    with training_bar("VBPR", 1, 10) as on_epoch:
        on_epoch(ROW)
    assert capsys.readouterr().err.startswith("VBPR seed 1 epoch 3/10 loss 0.7500")


def test_on_a_terminal_every_run_has_a_bar_as_long_as_it_lasts(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # Rich then writes as to a terminal
    monkeypatch.setenv("COLUMNS", "120")
    with training_bars() as watch:
        with watch("VBPR", 1, 10) as tell_first, watch("SEA", 2, 20):
            tell_first(ROW)
            both = _bars(watch)
        one = _bars(watch)
    assert both == [("VBPR seed 1", 3, 10), ("SEA seed 2", 0, 20)]
    assert one == []
    assert "SEA seed 2" in capsys.readouterr().err


def test_users_are_counted_on_a_terminal_alone(monkeypatch, capsys):
    with user_bar() as on_users:
        assert on_users is None
    monkeypatch.setenv("FORCE_COLOR", "1")
    with user_bar(quiet=True) as on_users:
        assert on_users is None
    with user_bar() as on_users:
        tell = on_users(100)
        tell(30)
        tell(50)
        (task,) = tell.func.__self__.tasks
        assert (task.completed, task.total) == (80, 100)
    assert "users" in capsys.readouterr().err


def test_brackets_in_a_name_are_shown_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with training_bar("VBPR:sizes=[a]", 1, 10) as on_epoch:
        on_epoch(ROW)
    assert "VBPR:sizes=[a] seed 1" in capsys.readouterr().err


def _bars(watch):
    (progress,) = watch.args
    return [(task.description, task.completed, task.total) for task in progress.tasks]


@pytest.mark.parametrize("quiet", [True, False])
def test_a_run_that_fails_before_its_first_epoch_leaves_no_line(capsys, quiet):
    with training_bars(quiet=quiet) as watch, watch("VBPR", 1, 10):
        pass
    assert capsys.readouterr().err == ""


def test_quiet_says_nothing(capsys):
    with training_bar("LightGCN", 999, 10, quiet=True) as on_epoch:
        assert on_epoch is None
    assert capsys.readouterr() == ("", "")
