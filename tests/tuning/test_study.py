from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("optuna")

from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import ModelSpec
from mmgraph.errors import UserError
from mmgraph.tuning import trials
from mmgraph.tuning.search import tune
from mmgraph.tuning.space import Interval
from mmgraph.tuning.study import (
    draw,
    fail_trial,
    forget_running,
    importance,
    next_trial,
    open_study,
    trials_by_end,
    tried,
)
from mmgraph.tuning.trials import Search


def test_draws_stay_in_the_space_and_are_decided_by_the_seed(tmp_path):
    space = {"a": Interval(1, 3), "b": Interval(1e-4, 1.0), "c": [[1], [2, 3]]}
    drawn = []
    for number in (0, 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        study = open_study(folder)
        for _ in range(20):
            trial = next_trial(study, 999)
            one = {name: draw(trial, name, values) for name, values in space.items()}
            study.tell(trial, float(one["a"]))
            assert tried(study.trials[-1], space) == one
            drawn.append(one)
    assert drawn[:20] == drawn[20:]
    assert {one["a"] for one in drawn} == {1, 2, 3}
    assert {len(one["c"]) for one in drawn} == {1, 2}
    small = sum(one["b"] < 1e-2 for one in drawn[:5])
    assert 0 < small < 5  # by its logarithm, half of them


def test_each_draws_its_own_but_what_was_interrupted_is_drawn_again(tmp_path):
    study = open_study(tmp_path)

    def drawn():
        trial = next_trial(study, 999)
        return trial, draw(trial, "lr", Interval(0.0, 1.0))

    (failed, first), (_left, second), (ended, third) = drawn(), drawn(), drawn()
    assert len({first, second, third}) == 3
    fail_trial(study, failed, UserError("the loss is nan", "lower it"))
    study.tell(ended, 0.5)
    forget_running(study)
    assert len(trials_by_end(study)["failed"]) == 2
    assert study.trials[0].user_attrs["error"] == "the loss is nan - lower it"
    assert drawn()[1] == second
    assert drawn()[1] not in {first, second, third}


def test_importance_needs_two_trials(tmp_path):
    study = open_study(tmp_path)
    assert importance(study) is None


def test_importance_finds_what_matters(tmp_path, monkeypatch):
    def run(config, splits, **_):
        value = -abs(np.log10(config.trainer["lr"]) + 2)
        line = {"best_epoch": 1, "metrics": {"valid": {"recall@20": value}}}
        return type("Done", (), {"line": line})

    monkeypatch.setattr(trials, "run_experiment", run)
    space = {"lr": Interval(1e-4, 1e-1), "reg_weight": Interval(1e-6, 1e-1)}
    search = Search(ModelSpec("MF-BPR"), space, {}, device="cpu")
    result = tune(search, DataSource("synthetic"), tmp_path / "s", trials=40)
    assert result["importance"]["lr"] > 0.7
    assert sum(result["importance"].values()) == pytest.approx(1)
    assert abs(np.log10(result["best"]["options"]["lr"]) + 2) < 0.2
