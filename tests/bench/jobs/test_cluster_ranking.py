"""Rankings on a Ray cluster; where Ray is not installed, its loop alone."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import sys
from functools import partial

import pytest
import torch
from fake_ray import FakeRay

from mmgraph.bench.config import run_config
from mmgraph.bench.jobs import cluster_ranking
from mmgraph.bench.jobs.cluster_ranking import ranking
from mmgraph.bench.run_directory import load_run
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import parse_spec
from mmgraph.bench.training import (
    evaluate_run,
    measure_run,
    train_run,
    write_recommendations,
)
from mmgraph.data import write_dataset
from mmgraph.errors import UserError
from mmgraph.functional.block_sizes import BlockSize
from mmgraph.train.evaluation import rank_items
from mmgraph.train.measures import MEASURES
from mmgraph.train.recommendations import Choice

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs Ray"
)


@pytest.fixture
def fake(monkeypatch):
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    return ray


@pytest.fixture(autouse=True)
def _no_run_is_kept():
    cluster_ranking._run_of.cache_clear()
    yield
    cluster_ranking._run_of.cache_clear()


@pytest.fixture(scope="module")
def catalogue(splits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "toy"
    write_dataset(*splits, folder)
    return folder


@pytest.fixture(scope="module")
def run(catalogue, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    config = run_config(parse_spec("LightGCN:embedding_dim=8,epochs=2"))
    train_run(config, DataSource(str(catalogue)), folder, device="cpu")
    return folder


@pytest.fixture
def small_blocks(splits, monkeypatch):
    """Seven users at a time."""
    scores = 7 * splits[0]["item"].num_nodes
    monkeypatch.setattr("mmgraph.train.evaluation.RANKED_SCORES", BlockSize(scores, 1))


on_cluster = partial(ranking, ray="10.0.0.1:6379", device="cpu")


@pytest.mark.parametrize("split", ["valid", "test"])
def test_metrics_and_measures_are_those_of_one_process(fake, run, small_blocks, split):
    with on_cluster(run, split) as rank:
        metrics = evaluate_run(run, split, device="cpu", rank=rank)
    assert metrics == evaluate_run(run, split, device="cpu")
    resources = {"num_cpus": 1, "num_gpus": 0, "max_retries": 2}
    assert fake.calls == ["10.0.0.1:6379", resources, "shutdown"]
    options = {"measures": MEASURES, "candidates": "warm", "device": "cpu"}
    with on_cluster(run, split, threads=1) as rank:
        measured = measure_run(run, split, rank=rank, **options)
    assert measured == measure_run(run, split, **options)


@pytest.mark.parametrize("name", ["top.csv", "top.parquet"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"k": 3, "users": "u01,u03,eve", "choice": Choice(unknown="popular")},
        {"choice": Choice(allow="i01,i02,i03,i04,i05,i06", include_seen=True)},
        {"users": "eve", "choice": Choice(unknown="popular")},
    ],
)
def test_tables_are_those_of_one_process_to_the_byte(
    fake, run, small_blocks, tmp_path, name, options
):
    fake.cpus = 2
    here, there = tmp_path / f"here-{name}", tmp_path / f"there-{name}"
    told = []
    expected = write_recommendations(run, here, device="cpu", **options)
    with on_cluster(run) as rank:
        found = write_recommendations(
            run,
            there,
            device="cpu",
            rank=rank,
            on_users=lambda count: told.append,
            **options,
        )
    assert there.read_bytes() == here.read_bytes()
    assert found == expected
    assert sum(told) == found.users


@pytest.mark.parametrize(("cpus", "shares"), [(1, 4), (2, 8), (100, 9)])
def test_every_place_gets_four_shares_of_whole_blocks(
    fake, run, small_blocks, monkeypatch, cpus, shares
):
    fake.cpus, taken = cpus, []
    loaded = load_run(run)
    users = torch.arange(60)

    def noted(model, data, users, k, **options):
        taken.append(len(users))
        return rank_items(model, data, users, k, **options)

    monkeypatch.setattr(cluster_ranking, "rank_items", noted)
    with on_cluster(run) as rank:
        found = list(rank(loaded.model, loaded.splits[0], users, 5))
    assert torch.equal(torch.cat([block[0] for block in found]), users)
    assert len(taken) == shares
    assert [count % 7 for count in taken[:-1]] == [0] * (shares - 1)


def test_without_an_address_this_process_ranks(run):
    with ranking(run) as rank:
        assert rank is rank_items


def test_gpus_are_refused_where_this_process_has_none(fake, run):
    with pytest.raises(UserError) as error, on_cluster(run, gpus=0.5):
        pass
    assert str(error.value) == (
        "--gpus is 0.5, and this process computes on a CPU - start it on a machine "
        "with a GPU, or leave --gpus away"
    )
    assert fake.calls == []


def test_a_machine_without_the_run_or_with_another_is_named(
    fake, run, catalogue, tmp_path
):
    mine = tmp_path / "run"
    shutil.copytree(run, mine)
    loaded = load_run(mine)
    config = run_config(parse_spec("LightGCN:embedding_dim=8,epochs=1"))
    ranked = loaded.model, loaded.splits[0], torch.arange(3), 5
    with on_cluster(mine) as rank:
        shutil.rmtree(mine)
        with pytest.raises(UserError, match=r"not a run directory .* \(on .+\) - give"):
            list(rank(*ranked))
        train_run(config, DataSource(str(catalogue)), mine, device="cpu")
        message = rf"^{re.escape(str(mine))}: .+ has another run there - copy the run"
        with pytest.raises(UserError, match=message):
            list(rank(*ranked))


@needs_ray
def test_on_workers_of_ray_of_which_one_is_killed(
    run, small_blocks, tmp_path, monkeypatch
):
    import ray

    here, there, killed = (tmp_path / name for name in ("a.csv", "b.csv", "killed"))
    expected = write_recommendations(run, here, device="cpu")
    metrics = evaluate_run(run, device="cpu")
    ranking_of = cluster_ranking._Ranking

    def dying(*args):
        task = ranking_of(*args)

        def ranked(users):  # a function of a function, which Ray copies whole
            if 0 in users and not killed.exists():
                killed.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return task(users)

        return ranked

    monkeypatch.setattr(cluster_ranking, "_Ranking", dying)
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        with ranking(run, ray="auto", device="cpu") as rank:
            found = write_recommendations(run, there, device="cpu", rank=rank)
        assert killed.exists()
        with ranking(run, "test", ray="auto", device="cpu") as rank:
            assert evaluate_run(run, device="cpu", rank=rank) == metrics
        copy = tmp_path / "run"
        shutil.copytree(run, copy)
        with ranking(copy, ray="auto", device="cpu") as rank:
            (copy / "run.json").unlink()
            with pytest.raises(UserError, match=r"not a run directory .* \(on .+\)"):
                list(rank(*_loaded(run), torch.arange(3), 5))
    finally:
        ray.shutdown()
    assert there.read_bytes() == here.read_bytes()
    assert found == expected


def _loaded(run):
    loaded = load_run(run)
    return loaded.model, loaded.splits[0]
