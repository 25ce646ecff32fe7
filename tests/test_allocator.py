from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import resource, sys, torch
from mmgraph.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
x = torch.ones(2**21)  # 8 MiB
for step in range(30):
    if step == 15:  # the heap has grown to what three tables take
        before = faults()
    tables = [x + 1 for _ in range(3)]
    del tables
print(faults() - before)
"""


def page_faults(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", CODE, how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has mallopt")
def test_freed_tensors_are_used_again():
    assert page_faults("kept") < page_faults("default") / 10
