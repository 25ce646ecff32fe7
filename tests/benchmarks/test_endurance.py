from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "endurance.py"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_epochs_after_the_first_keep_no_memory_and_no_files():
    spec = importlib.util.spec_from_file_location("endurance", SCRIPT)
    endurance = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(endurance)
    figures = endurance.endure("MF-BPR", 400, checkpoint_seconds=0)
    assert figures["more_files"] == 0
    # An epoch that kept one tensor of the model would take 3,000 bytes or more, a
    # checkpoint that holds the history 6,700.
    assert figures["bytes_per_epoch"] < 2000
