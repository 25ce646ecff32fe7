from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mmgraph import allocator

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


@pytest.mark.parametrize("name", ["MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_"])
def test_settings_of_the_environment_take_precedence(monkeypatch, name):
    monkeypatch.setenv(name, "65536")
    assert not allocator.keep_freed_memory()


LARGE_PAGES = """
import sys
from mmgraph.allocator import use_large_pages
if sys.argv[1] == "asked":
    assert use_large_pages()
import torch
x = torch.ones(2**24)  # 64 MiB
with open("/proc/self/smaps_rollup") as lines:
    print(next(line.split()[1] for line in lines if line.startswith("AnonHugePages")))
"""


@pytest.fixture
def unset(monkeypatch):
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", "0")  # so that the end undoes all
    monkeypatch.delenv("THP_MEM_ALLOC_ENABLE")


def test_large_tensors_lie_in_large_pages_where_they_are_asked_for(unset):
    pages = allocator._LARGE_PAGES
    if not (pages.exists() and "[madvise]" in pages.read_text()):
        pytest.skip("the system has no large pages for those who ask")

    def kib(how):
        command = [sys.executable, "-c", LARGE_PAGES, how]
        return int(subprocess.run(command, capture_output=True, check=True).stdout)

    assert kib("asked") > 32 * 1024 > 4 * kib("default")


def test_large_pages_are_not_asked_for_where_there_are_none(
    unset, monkeypatch, tmp_path
):
    monkeypatch.setattr(allocator, "_LARGE_PAGES", tmp_path / "missing")
    assert not allocator.use_large_pages()
    (tmp_path / "missing").write_text("always madvise [never]\n")
    assert not allocator.use_large_pages()
    assert "THP_MEM_ALLOC_ENABLE" not in os.environ
    (tmp_path / "missing").write_text("always [madvise] never\n")
    assert allocator.use_large_pages()
    assert os.environ["THP_MEM_ALLOC_ENABLE"] == "1"
