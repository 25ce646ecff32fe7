from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from mmgraph.bench import memory

MIB = 2**20


@pytest.mark.skipif(
    not memory._CLEAR.exists(), reason="only Linux can restart the peak"
)
def test_the_peak_counts_what_was_freed_and_starts_again():
    memory.reset_peak_memory()
    before = memory.peak_memory(torch.device("cpu"))
    block = np.ones(100 * MIB, np.uint8)
    del block
    after = memory.peak_memory(torch.device("cpu"))
    assert after - before == pytest.approx(100 * MIB, rel=0.05)
    memory.reset_peak_memory()
    again = memory.peak_memory(torch.device("cpu"))
    assert after - again == pytest.approx(100 * MIB, rel=0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has mallopt")
def test_what_earlier_runs_freed_does_not_count_where_freed_memory_is_kept():
    code = """
import torch
from mmgraph.allocator import keep_freed_memory
from mmgraph.bench.memory import peak_memory, reset_peak_memory
cpu = torch.device("cpu")
keep_freed_memory()
start = peak_memory(cpu)
tables = [torch.ones(5 * 2**20) for _ in range(10)]  # 20 MiB each
del tables
reset_peak_memory()
print((peak_memory(cpu) - start) / 2**20)
"""
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 20
