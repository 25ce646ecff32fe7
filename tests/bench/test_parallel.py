from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

from mmgraph.bench import DataSource, run_benchmark, run_config, train_run
from mmgraph.bench import parallel as module
from mmgraph.bench.parallel import jobs_for, run_threads, threads_for
from mmgraph.bench.spec import parse_spec
from mmgraph.data import synthetic


def small():
    return synthetic(num_users=300, num_items=100)[0]


@pytest.fixture(autouse=True)
def _four_cores(monkeypatch):
    monkeypatch.setattr(module, "usable_cores", lambda: 4)


def test_many_nodes_or_wide_features_are_worth_all_cores():
    train = small()
    assert threads_for(train) == 1
    train["user"].num_nodes = 2**20 // 64 - 101
    assert threads_for(train) == 1
    train["user"].num_nodes += 1
    assert threads_for(train) == 4
    train = small()
    train["item"].x_visual = torch.zeros(100, 2**20 // 100 + 1)
    assert threads_for(train) == 4


def test_processes_share_cores_and_memory_and_are_worth_their_start(monkeypatch):
    train = small()
    free = 2**50
    monkeypatch.setattr(module, "free_memory", lambda: free)
    assert [jobs_for(train, n, threads=1) for n in (0, 7, 8, 16, 99)] == [1, 1, 2, 4, 4]
    assert [jobs_for(train, 99, threads=n) for n in (2, 3, 8)] == [2, 1, 1]
    free = 5 * 2**29
    assert jobs_for(train, 99, threads=1) == 2
    free = None
    assert jobs_for(train, 99, threads=1) == 4


def test_threads_are_put_back():
    before = torch.get_num_threads()
    with run_threads(small(), "cpu", threads=2) as number:
        assert number == torch.get_num_threads() == 2
    with run_threads(small(), "cpu") as number:
        assert number == torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("asked", [0, 2])
def test_training_uses_the_threads_asked_for_or_those_that_suit(tmp_path, asked):
    seen = []
    config = run_config(parse_spec("MF-BPR"), {"embedding_dim": 4, "epochs": 1})

    def watch(*_):
        seen.append(torch.get_num_threads())
        return nullcontext()

    source = DataSource("synthetic")
    train_run(config, source, tmp_path / "a", threads=asked, watch=watch)
    run_benchmark(
        [parse_spec("MF-BPR")],
        source,
        tmp_path / "b",
        seeds=[1],
        settings={"embedding_dim": 4, "epochs": 1},
        threads=asked,
        watch=watch,
    )
    assert seen == [asked or 1] * 2
