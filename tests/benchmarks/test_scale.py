"""The cost model of several processes, and the simulation of a grid of blocks."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


def test_a_fit_finds_the_rates_that_made_its_values():
    from benchmarks.scale import FITTED, fit, memory_terms, predicted, time_terms

    for terms in (time_terms, memory_terms):
        rows = [terms(point) for point in FITTED]
        rates = {name: 1e-9 * (n + 1) for n, name in enumerate(rows[0])}
        values = [predicted(row, rates) for row in rows]
        assert fit(rows, values) == pytest.approx(rates)


def test_the_bytes_of_an_exchange_are_those_that_are_sent():
    from benchmarks.scale import Point, exchanged, measure

    point = Point(4_000, 16_000, dim=9, processes=2, shared=True)
    found = measure(point)
    assert found["sent"] == exchanged(point)
    assert found["seconds"] > 0


def test_large_catalogues_need_less_of_each_gpu_the_more_there_are():
    from benchmarks.scale import on_gpus

    one, eight, many = (on_gpus(count, 9.0) for count in (1, 8, 64))
    assert one["memory"] > eight["memory"] > many["memory"]
    # 8 of 64 columns of 70M rows of 4 bytes, 9 times; 40 bytes a pair; rows of a batch.
    rows = 6 * 2**20 * 64 * 4 * 4
    assert eight["memory"] == 9 * 70e6 * 8 * 4 + 40e9 + rows
    assert one["sent"] == 0


def test_equal_machines_end_together_and_a_slow_one_last():
    from benchmarks.block_grid import by_queue, by_shards

    never = np.full(4, math.inf)
    for build in (by_shards, by_queue):
        assert build(np.ones(4), never, 8) == 2
    slow = np.array([1.0, 1.0, 1.0, 0.25])
    assert by_shards(slow, never, 8) == 8  # its two blocks
    assert by_queue(slow, never, 8) == 4  # its one block; the others have seven


def test_what_a_lost_machine_had_is_done_again():
    from benchmarks.block_grid import by_queue, by_shards

    lost = np.array([math.inf, 1.5])
    # Of four blocks it has done one: two of the other, then the one that is left.
    assert by_shards(np.ones(2), lost, 4) == 3
    assert by_queue(np.ones(2), lost, 4) == 3
    gone = np.zeros(2)
    assert by_shards(np.ones(2), gone, 4) == by_queue(np.ones(2), gone, 4) == math.inf


def test_a_simulation_is_the_same_again():
    from benchmarks.block_grid import simulate

    one, two = (simulate(8, 40, 0.3, 0.1, draws=5) for _ in range(2))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert set(one) == {"shards", "queue"}
