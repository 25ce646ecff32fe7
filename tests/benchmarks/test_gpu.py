"""All that a GPU is to be asked, on a CPU and on little."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    before = torch.backends.cuda.matmul.fp32_precision
    from benchmarks import gpu

    yield gpu
    torch.backends.cuda.matmul.fp32_precision = before


def figures_of(gpu, part):
    rows = []
    gpu.PARTS[part]("cpu", lambda **row: rows.append(row), quick=True)
    assert rows
    assert not [row["error"] for row in rows if "error" in row]
    return rows


@pytest.mark.parametrize("part", ["epoch", "tf32"])
def test_an_epoch_is_timed_for_each_form_of_a_system(gpu, part):
    rows = figures_of(gpu, part)
    assert all(row["epoch"] > 0 and row["evaluation"] > 0 for row in rows)
    both = [row["system"] for row in rows] == ["VBPR@released", "VBPR@paper"]
    assert both == (part == "epoch")


def test_what_is_to_be_equal_is_equal(gpu):
    assert figures_of(gpu, "knn")[1]["as_on_cpu"]
    assert all(row["same"] for row in figures_of(gpu, "determinism"))
    assert {row["waits_per_step"] for row in figures_of(gpu, "waits")} == {None}


def test_the_kernels_of_sea_are_listed_by_their_time(gpu):
    launches, *kernels = figures_of(gpu, "profile")
    assert launches == {"steps": 1, "launches_per_step": 0}  # none on a CPU
    times = [row["us"] for row in kernels]
    assert times == sorted(times, reverse=True)


def test_the_whole_has_eight_minutes(gpu):
    assert sum(gpu.SECONDS.values()) <= 480
    assert set(gpu.PARTS) | {"tests", "propagation"} == set(gpu.SECONDS)


def test_a_part_that_takes_too_long_is_cut_off_with_what_it_started(gpu):
    waiting = "import time; print('begun', flush=True); time.sleep(60)"
    child = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {waiting!r}])"
    )
    outcome, printed = gpu.run(["-c", child], 3)
    assert (outcome, printed) == ("cut off after 3 s", "begun\n")
    assert gpu.run(["-c", "raise SystemExit(3)"], 60)[0] == "exit 3"


def test_every_figure_is_a_line_that_names_the_device(tmp_path):
    table = tmp_path / "figures.jsonl"
    words = ["--device", "cpu", "--quick", "--json", str(table)]
    words += ["--only", "tests", "propagation", "knn"]
    subprocess.run(
        [sys.executable, "-m", "benchmarks", "gpu", *words],
        check=True,
        capture_output=True,
        cwd=ROOT,
    )
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    assert {row["device"] for row in rows} == {rows[0]["device"]}
    suites = [row["suite"] for row in rows if "outcome" not in row]
    assert {*suites} == {"gpu surroundings", "gpu propagation", "gpu knn"}
    ends = {row["suite"]: row["outcome"] for row in rows if "outcome" in row}
    assert list(ends) == ["gpu tests", "gpu propagation", "gpu knn"]
    assert all(outcome.startswith("exit 0") for outcome in ends.values()), ends
    assert "passed" in ends["gpu tests"]
