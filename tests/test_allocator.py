from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import resource, sys, torch
from mmgraph.allocator import give_back_freed_memory, keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def resident():
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * resource.getpagesize() / 2**20
torch.ones(1000).sum()
before = resident()
torch.ones(int(sys.argv[2]) * 2**18).sum()  # freed at once
print(resident() - before)
give_back_freed_memory()
print(resident() - before)
"""


def resident_after(how: str, mib: int) -> tuple[float, float]:
    """MiB that stay with the process: after a tensor is freed, and given back."""
    command = [sys.executable, "-c", CODE, how, str(mib)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    freed, given_back = map(float, done.stdout.split())
    return freed, given_back


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has mallopt")
@pytest.mark.parametrize("mib", [24, 200])
def test_freed_tensors_stay_until_they_are_given_back(mib):
    freed, given_back = resident_after("kept", mib)
    assert freed > 0.8 * mib
    assert given_back < 6
    freed, _ = resident_after("default", mib)
    assert freed < 6
