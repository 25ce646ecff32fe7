"""The measuring itself; what it measures is not asserted."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
import torch.nn.functional as F

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def run(*words):
    command = [sys.executable, "-m", "benchmarks", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_every_suite_that_is_named_exists():
    from benchmarks.__main__ import SUITES

    for name in SUITES:
        module = importlib.import_module(f"benchmarks.{name.replace('-', '_')}")
        assert callable(module.main)
    assert run().returncode == 0
    unknown = run("speed")
    assert unknown.returncode == 2
    assert all(name in unknown.stdout for name in SUITES)


def floor(work, product=None, function=None, bandwidth=float("inf")):
    from benchmarks.roofline import Roofline

    product, function = product or (lambda *_: 0.0), function or (lambda _: 0.0)
    with Roofline(product, function, bandwidth) as roofline:
        work()
    return roofline.seconds


def test_the_floor_of_a_product_is_that_of_its_shape():
    costs = {  # of the product, and of its gradients
        ((5, 7), (7, 3)): 1.0,
        ((5, 3), (3, 7)): 10.0,
        ((7, 5), (5, 3)): 100.0,
        ((2, 5, 7), (2, 7, 3)): 1000.0,
    }

    def of(work):
        return floor(work, lambda left, right: costs[tuple(left), tuple(right)])

    x, w = torch.ones(5, 7, requires_grad=True), torch.ones(7, 3, requires_grad=True)
    assert of(lambda: x @ w) == 1
    assert of(lambda: (x @ w).sum().backward()) == 111
    assert of(lambda: torch.addmm(torch.ones(3), x, w)) == 1
    assert of(lambda: torch.ones(5, 3).addmm_(x.detach(), w.detach())) == 1
    assert of(lambda: torch.ones(2, 5, 7) @ torch.ones(2, 7, 3)) == 1000


def test_products_of_every_kind_are_in_the_floor():
    """Of a wide map too, for which PyTorch has an operation of another library."""
    from mmgraph.functional.wide_linear import wide_linear

    x, w, bias = torch.ones(2000, 4096), torch.ones(64, 4096), torch.ones(64)
    assert floor(lambda: wide_linear(x, w, bias), lambda left, right: 1.0) == 1


def test_the_floor_of_a_function_is_that_of_its_elements():
    x, costs = torch.ones(2, 3), {"exp": 1.0, "log": 10.0, "rand_like": 100.0}
    assert floor(lambda: x.exp().log_(), function=costs.get) == 6 * 11
    assert floor(lambda: torch.rand_like(x), function=costs.get) == 600


def test_the_floor_of_other_operations_is_their_bytes():
    def moved(work):
        return floor(work, bandwidth=1.0)

    x = torch.ones(100, 8)
    row = 8 * 4
    assert moved(lambda: x + x) == 3 * 100 * row
    assert moved(lambda: x.view(8, 100).t()) == 0
    assert moved(lambda: x.add_(1)) == 2 * 100 * row
    few = torch.tensor([3, 5])
    assert moved(lambda: x[few]) == 2 * 2 * row
    assert moved(lambda: F.embedding(few, x)) == 2 * 2 * row
    assert moved(lambda: x.index_add_(0, few, torch.ones(2, 8))) < 10 * row
    entries = torch.zeros(6, dtype=torch.int32)
    starts = torch.tensor([0, 6], dtype=torch.int32)
    read = moved(
        lambda: F.embedding_bag(
            entries, x, starts, mode="sum", include_last_offset=True
        )
    )
    assert 6 * row < read < 8 * row + 6 * 12 + 64


def test_users_of_common_items_are_those_of_a_slow_loop():
    from benchmarks.peer import co_occurring

    matrix = (np.random.default_rng(0).random((9, 6)) < 0.4).astype(np.float32)
    graph = co_occurring(sp.csr_matrix(matrix), top=3)
    for user in range(9):
        common = {v: float(matrix[user] @ matrix[v]) for v in range(9) if v != user}
        best = sorted([c for c in common.values() if c], reverse=True)[:3]
        assert graph[user][1] == best
        assert [common[other] for other in graph[user][0]] == best


def test_a_record_says_where_and_with_what_it_was_measured(tmp_path):
    from benchmarks.record import append_record, peak_mib, surroundings

    path = str(tmp_path / "a.jsonl")
    append_record(None, "load", {"seconds": 1.0})
    for seconds in (1.0, 2.0):
        append_record(path, "load", {"seconds": seconds, **surroundings()})
    rows = [json.loads(line) for line in Path(path).read_text().splitlines()]
    assert [row["seconds"] for row in rows] == [1.0, 2.0]
    assert {"suite", "device", "load", "threads", "versions", "date"} <= rows[0].keys()
    assert peak_mib() > 50


def test_a_peak_is_that_of_the_process_itself():
    """One that is started begins, for getrusage, with the peak of its parent."""
    child = "from benchmarks.record import peak_mib; print(peak_mib())"
    parent = f"""
import subprocess, sys
much = b"1" * 2**30
subprocess.run([sys.executable, "-c", {child!r}], check=True)
"""
    command = [sys.executable, "-c", parent]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, check=True
    )
    assert 50 < float(done.stdout) < 1000


def test_a_case_that_fails_says_why():
    from benchmarks.record import in_own_process

    with pytest.raises(RuntimeError, match="No module named"):
        in_own_process("benchmarks.none")


def test_the_profile_of_a_step_tells_kinds_of_operations_apart():
    from benchmarks.profile import kind_of, measure

    spent = measure("LightGCN", None, "tiny", steps=2)
    assert spent["sparse"] > 0
    assert spent["optimizer"] > 0
    assert spent["dense"] < spent["sparse"]
    assert kind_of("aten::addmm") == "dense"
    assert kind_of("aten::index_select") == "rows"


def test_suites_that_measure_in_processes_of_their_own():
    done = run("growth", "--sizes", "0.01", "0.02", "--ranked", "10")
    assert done.returncode == 0, done.stderr
    assert "recommend" in done.stdout
    from benchmarks.knn import peak_megabytes

    assert 0 < peak_megabytes("mmgraph", "2000x16", 5) < 1000
