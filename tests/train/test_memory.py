from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.train import memory

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
