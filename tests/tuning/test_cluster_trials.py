"""Trials of a search as tasks of an executor, and on a Ray cluster."""

from __future__ import annotations

import importlib.util
import sys
from functools import partial

import pytest

pytest.importorskip("optuna")

from fake_ray import FakeRay

from mmgraph.bench.jobs.executors import SequentialExecutor
from mmgraph.bench.jobs.task import TaskResult, perform
from mmgraph.bench.jobs.watch import unwatched
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import ModelSpec
from mmgraph.data import synthetic, write_dataset
from mmgraph.errors import UserError
from mmgraph.tuning.cluster_trials import run_trials_elsewhere
from mmgraph.tuning.search import tune
from mmgraph.tuning.space import Interval
from mmgraph.tuning.study import open_study, trials_by_end
from mmgraph.tuning.trials import Search, run_trials

SEARCH = Search(
    ModelSpec("MF-BPR"),
    {"lr": Interval(1e-3, 1e-1), "embedding_dim": [4, 8]},
    {"epochs": 2},
    device="cpu",
)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    *splits, _ = synthetic(num_users=60, num_items=50, interactions_per_user=12)
    folder = tmp_path_factory.mktemp("data") / "toy"
    write_dataset(*splits, folder)
    return DataSource(str(folder))


def of(study):
    return [(t.params, t.value, t.user_attrs, t.state.name) for t in study.trials]


def do(splits):
    return partial(perform, splits=splits, data="", data_sha256="", device="cpu")


def test_one_at_a_time_are_the_trials_of_this_process(source, tmp_path):
    """Seven: the last two are chosen by what the others found."""
    splits, _ = source.load()
    studies = []
    for name in ("here", "elsewhere"):
        (tmp_path / name).mkdir()
        studies.append(open_study(tmp_path / name))
    run_trials(studies[0], SEARCH, splits, 7, unwatched)
    run_trials_elsewhere(studies[1], SEARCH, SequentialExecutor(do(splits)), 7, 1)
    assert of(studies[1]) == of(studies[0])


class Recorder(SequentialExecutor):
    """Takes any number of tasks, and does the last of them first."""

    def __init__(self, do):
        super().__init__(do)
        self.tasks, self.most = [], 0

    def start(self, task):
        self.tasks.append(task)
        self.most = max(self.most, len(self.tasks))

    def wait(self):
        if self.tasks:
            super().start(self.tasks.pop())
        return super().wait()


def test_several_are_under_way_and_all_are_told(source, tmp_path):
    executor = Recorder(do(source.load()[0]))
    study = open_study(tmp_path)
    run_trials_elsewhere(study, SEARCH, executor, 5, at_once=3)
    assert executor.most == 3
    assert [t.state.name for t in study.trials] == ["COMPLETE"] * 5
    assert all(trial.user_attrs["epoch"] in (1, 2) for trial in study.trials)


def test_those_under_way_with_the_first_that_fails_do_not_end_the_search(tmp_path):
    tasks = []

    def fails(task, **_):
        tasks.append(task)
        raise UserError("the loss is nan", "use a smaller learning rate")

    study = open_study(tmp_path)
    with pytest.raises(UserError, match="the loss is nan"):
        run_trials_elsewhere(study, SEARCH, Recorder(fails), 30, at_once=8)
    assert len(tasks) == 12


def test_after_a_failure_none_draws_what_one_under_way_has_drawn(tmp_path):
    tasks = []

    def first_fails(task, **_):
        tasks.append(task)
        if len(tasks) == 1:
            raise UserError("the loss is nan", "use a smaller learning rate")
        line = {"best_epoch": 1, "metrics": {"valid": {"recall@20": 0.1}}}
        return TaskResult(line)

    executor, study = Recorder(first_fails), open_study(tmp_path)
    run_trials_elsewhere(study, SEARCH, executor, 4, at_once=3)
    assert [t.state.name for t in study.trials].count("COMPLETE") == 4
    rates = [trial.params["lr"] for trial in study.trials]
    assert len(set(rates)) == len(rates) == 5


def test_trials_that_fail_do_not_count_and_many_end_the_search(tmp_path):
    outcomes = []

    def fails(task, **_):
        outcomes.append(task)
        raise UserError("the loss is nan", "use a smaller learning rate")

    study = open_study(tmp_path)
    with pytest.raises(UserError, match="the loss is nan"):
        run_trials_elsewhere(study, SEARCH, SequentialExecutor(fails), 3, at_once=1)
    assert len(outcomes) == 5
    assert len(trials_by_end(study)["failed"]) == len(study.trials) == 5


def test_a_search_on_a_cluster_is_that_of_one_process(source, tmp_path, monkeypatch):
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    here = tune(SEARCH, source, tmp_path / "here", trials=3)
    there = tune(SEARCH, source, tmp_path / "there", trials=3, ray="10.0.0.1:6379")
    for result in (here, there):
        del result["journal"]
    assert there == here
    resources = {"num_cpus": 1, "num_gpus": 0, "max_retries": 2}
    assert fake.calls == ["10.0.0.1:6379", resources, "shutdown"]


def test_without_ray_nothing_is_begun(source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"^Ray is not installed - pip install 'mmgra"):
        tune(SEARCH, source, tmp_path / "s", ray="auto")
    assert not (tmp_path / "s").exists()


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray")
def test_trials_on_workers_of_ray(source, tmp_path):
    import ray

    here = tune(SEARCH, source, tmp_path / "here", trials=2)
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        there = tune(SEARCH, source, tmp_path / "there", trials=2, ray="auto")
    finally:
        ray.shutdown()
    assert there["best"] == here["best"]
    assert there["trials"] == {"complete": 2, "pruned": 0, "failed": 0}
