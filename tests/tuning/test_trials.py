from __future__ import annotations

import itertools

import pytest
import torch

pytest.importorskip("optuna")

from mmgraph.bench.jobs.watch import unwatched
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import ModelSpec
from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS
from mmgraph.tuning import trials
from mmgraph.tuning.search import tune
from mmgraph.tuning.space import Interval
from mmgraph.tuning.study import open_study
from mmgraph.tuning.trials import Search

SOURCE = DataSource("synthetic")
SEARCH = Search(
    ModelSpec("MF-BPR"),
    {"lr": Interval(1e-3, 1e-1), "embedding_dim": [4, 8]},
    {"epochs": 2},
    device="cpu",
)


def test_test_is_never_looked_at(tmp_path):
    splits, _ = SOURCE.load()
    shuffled = splits[2].clone()
    edges = shuffled[INTERACTS].edge_label_index
    shuffled[INTERACTS].edge_label_index = torch.stack([edges[0], edges[1].flip(0)])
    found = []
    for test in (splits[2], shuffled):
        folder = tmp_path / str(len(found))
        folder.mkdir()
        study = open_study(folder)
        trials.run_trials(study, SEARCH, (*splits[:2], test), 2, unwatched)
        found.append([(t.params, t.value) for t in study.trials])
    assert found[0] == found[1]


def test_a_trial_that_falls_behind_is_ended_early(tmp_path, monkeypatch):
    epochs, lengths = 12, []

    def run(config, splits, *, on_epoch, **_):
        good = config.trainer["lr"] > 0.01 or len(lengths) < 5
        lengths.append(0)
        for epoch in range(1, epochs + 1):
            lengths[-1] = epoch
            value = epoch / 100 if good else 0.0
            on_epoch({"epoch": epoch, "valid/recall@20": value})
        line = {"best_epoch": epochs, "metrics": {"valid": {"recall@20": value}}}
        return type("Done", (), {"line": line})

    monkeypatch.setattr(trials, "run_experiment", run)
    result = tune(SEARCH, SOURCE, tmp_path / "s", trials=30)
    ended = result["trials"]
    assert ended["pruned"] > 0
    assert lengths.count(5) == ended["pruned"]
    assert lengths.count(epochs) == ended["complete"]


def test_trials_that_fail_do_not_count_and_many_end_the_search(tmp_path, monkeypatch):
    run, calls = trials.run_experiment, itertools.count(1)

    def sometimes(*args, **options):
        if next(calls) in (1, 3):
            raise UserError("the loss is nan", "use a smaller learning rate")
        return run(*args, **options)

    monkeypatch.setattr(trials, "run_experiment", sometimes)
    result = tune(SEARCH, SOURCE, tmp_path / "s", trials=2)
    assert result["trials"] == {"complete": 2, "pruned": 0, "failed": 2}
    calls = itertools.repeat(1)
    with pytest.raises(UserError, match="the loss is nan"):
        tune(SEARCH, SOURCE, tmp_path / "other", trials=2)


def failing_at(bad, done):
    """A training that fails wherever ``embedding_dim`` is one of these."""

    def run(config, splits, **_):
        dim = config.options["embedding_dim"]
        done.append(dim)
        if dim in bad:
            raise UserError("not enough memory", "use smaller dimensions or batches")
        line = {"best_epoch": 1, "metrics": {"valid": {"recall@20": dim / 100}}}
        return type("Done", (), {"line": line})

    return run


@pytest.mark.parametrize("seed", range(6))
def test_what_always_fails_does_not_end_the_search(tmp_path, monkeypatch, seed):
    done = []
    monkeypatch.setattr(trials, "run_experiment", failing_at({8}, done))
    space = {"embedding_dim": [2, 4, 6, 8]}
    search = Search(ModelSpec("MF-BPR"), space, {"epochs": 1}, seed, "cpu")
    result = tune(search, SOURCE, tmp_path / "s", trials=12)
    assert result["trials"]["complete"] == 12
    assert result["trials"]["failed"] == done.count(8)


def test_a_search_that_gave_up_goes_on_with_other_options(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(trials, "run_experiment", failing_at(range(99), done))
    space = {"embedding_dim": list(range(1, 30))}
    search = Search(ModelSpec("MF-BPR"), space, {"epochs": 1}, device="cpu")
    for resume in (False, True):
        with pytest.raises(UserError, match="not enough memory"):
            tune(search, SOURCE, tmp_path / "s", trials=2, resume=resume)
    assert len(done) == 10
    assert len(set(done)) > 5
    assert done[:5] != done[5:]
