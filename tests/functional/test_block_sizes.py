from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import torch

import mmgraph
from mmgraph.errors import UserError
from mmgraph.functional import block_sizes
from mmgraph.functional.block_sizes import (
    WORKING_COPY,
    BlockSize,
    halved,
    halves_blocks,
    ran_out_of_memory,
)

PACKAGE = Path(mmgraph.__file__).parent


@pytest.mark.parametrize("dim", [1, 7, 384, 4096])
def test_a_float64_working_copy_fills_a_mebibyte_and_no_more(dim):
    rows = WORKING_COPY.rows(dim)
    assert 8 * rows * dim <= 2**20 < 8 * (rows + 1) * dim


@pytest.mark.parametrize(("dim", "rows"), [(2**18, 1), (0, 2**17)])
def test_there_is_always_a_row(dim, rows):
    assert WORKING_COPY.rows(dim) == rows
    assert WORKING_COPY.rows(dim, least=3) == max(3, rows)


def test_the_device_decides():
    size = BlockSize(12, 40)
    assert (size.on("cpu"), size.on(torch.device("cpu"))) == (12, 12)
    assert (size.on("cuda:1"), size.rows(7, "cuda")) == (40, 5)


def test_the_blocks_of_a_matrix_are_its_rows_in_order(device):
    x = torch.arange(22.0, device=device).view(11, 2)
    blocks = BlockSize(8, 6).split(x)
    assert torch.equal(torch.cat(blocks), x)
    assert len(blocks[0]) == (4 if device.type == "cpu" else 3)


def test_what_decides_the_order_of_sums_is_what_it_was():
    """Results of earlier versions depend on these in their last digits."""
    assert block_sizes.COVARIANCE_ROWS == 2048
    assert block_sizes.CONTRAST_SCORES.cpu == 2**19
    assert block_sizes.GRACE_SCORES.cpu == 2**18
    assert block_sizes.WIDE_CONTRAST_SCORES.cpu == 2**23
    assert block_sizes.WIDE_CONTRAST_ROWS == 256
    assert (block_sizes.USER_SCORES.cpu, block_sizes.USER_SCORES.gpu) == (2**22, 2**26)
    assert block_sizes.REFINED_ROWS.cpu == 2048


OUT_OF_MEMORY = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
    RuntimeError("Error in faiss: Failed to cudaMalloc 9 bytes: out of memory"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_blocks_are_halved_until_memory_is_enough_and_are_whole_again(error):
    free, fixed = BlockSize(100, 400), BlockSize(100, 400, fixed=True)
    seen = []

    @halves_blocks
    def compute(threshold):
        seen.append((free.on("cpu"), free.rows(10, "cuda"), fixed.on("cpu")))
        if free.on("cpu") > threshold:
            raise error
        return halved(7)

    assert compute(30) == 1
    assert seen == [(100, 40, 100), (50, 20, 100), (25, 10, 100)]
    assert (free.on("cpu"), halved(7)) == (100, 7)


def test_where_small_blocks_do_not_help_one_line_says_so():
    @halves_blocks
    def compute():
        return torch.empty(2**60)  # as the allocator says it

    message = r"memory ran out, with blocks of 1/64 of their size, too - free some memo"
    with pytest.raises(UserError, match=message):
        compute()
    assert halved(1024) == 1024


def test_other_errors_come_through_at_once():
    calls = []

    @halves_blocks
    def compute():
        calls.append(1)
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        compute()
    assert calls == [1]
    assert not ran_out_of_memory(ValueError("out of memory"))


def test_what_results_depend_on_is_never_halved():
    sizes = ("CONTRAST_SCORES", "GRACE_SCORES", "USER_SCORES", "RANKED_SCORES")
    for name in (*sizes, "WIDE_CONTRAST_SCORES", "REFINED_ROWS"):
        assert getattr(block_sizes, name).fixed
    for name in ("READ", "WORKING_COPY", "SEARCH_SCORES", "CANDIDATE_PAIRS"):
        assert not getattr(block_sizes, name).fixed


@pytest.mark.parametrize("room", ["functional", "knn"])
def test_no_module_has_a_block_size_of_its_own(room):
    name = re.compile(r"_?([A-Z]+_)*(BYTES|BLOCK|HEIGHT|WIDTH|ROWS|SCORES|PAIRS)(_|$)")
    for path in (PACKAGE / room).rglob("*.py"):
        if path.name == "block_sizes.py":
            continue
        for node in ast.parse(path.read_text("utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            assert not [n for n in names if name.match(n)], f"{path}:{node.lineno}"
