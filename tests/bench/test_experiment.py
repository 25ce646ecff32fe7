from __future__ import annotations

import math

import pytest
import torch

from mmgraph.bench.config import run_config
from mmgraph.bench.experiment import run_experiment
from mmgraph.bench.floors.popularity_line import popularity_line
from mmgraph.bench.spec import parse_spec
from mmgraph.errors import UserError
from mmgraph.train.evaluation import evaluate

TIMES = {"seconds_per_epoch", "seconds_per_evaluation", "peak_memory_bytes"}
KEYS = {
    *("model", "plugin", "data", "seed", "options", "fidelity", "metrics"),
    *("best_epoch", "epochs", "versions", "data_sha256", "device"),
    *TIMES,
}


def experiment(splits, text="VBPR+CLEAR:embedding_dim=8,epochs=3,rank=2", **options):
    run = run_config(parse_spec(text))
    return run_experiment(
        run, splits, data="toy", data_sha256="0", device="cpu", **options
    )


def test_the_same_run_twice_gives_the_same_line_but_for_times(splits):
    lines = []
    for disturbance in (1, 2):
        torch.manual_seed(disturbance)  # what ran before must not matter
        line = experiment(splits, seed=5).line
        lines.append({key: v for key, v in line.items() if key not in TIMES})
    assert lines[0] == lines[1]


def test_another_seed_gives_another_result(splits):
    losses = [experiment(splits, seed=s).history.rows[0]["loss/bpr"] for s in (1, 2)]
    assert losses[0] != losses[1]


def test_the_line_has_the_agreed_keys_and_values(splits):
    done = experiment(splits)
    assert done.line.keys() >= KEYS
    assert (done.line["model"], done.line["plugin"]) == ("VBPR", "CLEAR")
    assert done.line["options"]["rank"] == 2
    assert done.line["options"]["strength"] == 0.9  # resolved defaults, too
    assert done.line["counts"]["users"] == 60
    assert done.line["epochs"] == len(done.history.rows) == 3


def test_test_metrics_are_those_of_the_best_epochs_model(splits):
    done = experiment(splits)
    for split, name in ((splits[1], "valid"), (splits[2], "test")):
        measured = evaluate(done.model, split)
        assert done.line["metrics"][name] == pytest.approx(measured, abs=1e-12)
    assert done.line["metrics"]["valid"] == pytest.approx(
        done.history.best_valid, abs=1e-6
    )


def test_per_user_values_average_to_the_metric(splits):
    done = experiment(splits)
    recall = done.per_user["recall@20"].tolist()
    mean = math.fsum(recall) / len(recall)
    assert done.line["metrics"]["test"]["recall@20"] == pytest.approx(mean, abs=1e-12)
    assert sorted(done.per_user["user"]) == list(done.per_user["user"])


def test_selection_does_not_touch_test(splits):
    done = experiment(splits, test=False)
    assert done.line["metrics"].keys() == {"valid"}
    assert done.per_user is None


def test_a_bad_value_is_the_users_error(splits):
    with pytest.raises(UserError, match=r"'epochs' must be at least 1 \(got 0\)"):
        experiment(splits, "MF-BPR:epochs=0")
    with pytest.raises(UserError, match="rank"):
        experiment(splits, "VBPR+CLEAR:rank=-1")


def test_popularity_has_every_key_of_a_run(splits):
    line = popularity_line(splits, data="toy", data_sha256="0")
    assert line.keys() >= KEYS
    assert line["spec"] == "Popularity"
