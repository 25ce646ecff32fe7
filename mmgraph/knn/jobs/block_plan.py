"""Numbers of rows that fit under a memory budget."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mmgraph.errors import UserError
from mmgraph.functional.block_sizes import CENTRE_BLOCK, NEIGHBOUR_BLOCK

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}

# Python with torch, SciPy and faiss in it holds 266 MiB (measured).
_PROCESS = 272 * 2**20
# Pairs, products, pieces in float64, faiss' own buffers and what malloc keeps back:
# 85 MiB measured, none of which grows with the matrix.
_SCRATCH = 112 * 2**20
# Digests of all rows and their order, before the first block is made (58 measured).
_DIGEST = 64
_FEWEST = 16  # rows; with fewer, reading costs far more than multiplying


@dataclass(frozen=True)
class BlockPlan:
    """Rows handled at a time.

    Attributes:
        centre_rows: Centres whose neighbours are found and written together.
        neighbour_rows: Rows they are compared with at a time.
    """

    centre_rows: int
    neighbour_rows: int


def parse_bytes(size: str | int) -> int:
    """Bytes of ``"500MB"``, ``"2GB"``, ``"1.5GiB"`` or a plain number.

    Args:
        size: Number with an optional unit: powers of 1000, with an i of 1024.

    Returns:
        A positive number of bytes.

    Raises:
        UserError: It is no such size.

    Example:
        >>> parse_bytes("500MB"), parse_bytes("1.5GiB")
        (500000000, 1610612736)
    """
    # Twenty digits of bytes are more than any machine has.
    match = re.fullmatch(
        r"(\d{1,20}(?:\.\d{1,20})?)\s*((?:[KMGT]I?)?)B?",
        str(size).strip().upper(),
        re.ASCII,
    )
    value = int(float(match[1]) * (_UNITS | _BINARY)[match[2]]) if match else 0
    if value <= 0:
        raise UserError(
            f"ram must be a size such as '500MB' or '2GB' (got {str(size)[:40]!r})",
            "correct the option",
        )
    return value


def plan_blocks(
    shape: tuple[int, int],
    itemsize: int,
    length: int,
    *,
    ram: str | int,
    device: str = "cpu",
    digests: bool = False,
) -> BlockPlan:
    """Choose the blocks of a matrix for a budget.

    The budget is that of the whole process, with Python and its libraries. What is
    left after them and the norms of all rows is divided: two thirds for the centres,
    one for the rows they are compared with.

    Args:
        shape: ``(N, D)`` of the matrix.
        itemsize: Bytes of a value.
        length: Neighbours per centre.
        ram: The budget, as :func:`parse_bytes` reads it.
        device: ``cpu`` or ``cuda``, which only bounds the blocks.
        digests: Equal rows are looked for in the whole matrix first.

    Returns:
        The plan; the same for the same arguments, anywhere.

    Raises:
        ValueError: The budget is too small for this matrix.

    Example:
        >>> plan_blocks((10**6, 768), 4, 10, ram="500MB")
        BlockPlan(centre_rows=5500, neighbour_rows=2920)
    """
    num_rows, dim = shape
    # The rows as stored, once more where zero or equal rows are left out, and the
    # float32 rows that are multiplied.
    row = 2 * dim * itemsize + 4 * (dim + 1)
    centre, neighbour = row + 64 * length, row + 64
    fixed = _PROCESS + _SCRATCH + 16 * num_rows
    budget, least = parse_bytes(ram), fixed + 2 * _FEWEST * (centre + neighbour)
    if digests:
        least = max(least, _PROCESS + _SCRATCH + _DIGEST * num_rows)
    if budget < least:
        raise ValueError(
            f"ram must be at least {-(-least // 10**6)} MB for {num_rows} rows of "
            f"{dim} values (got {ram})"
        )
    most_centres, most_neighbours = CENTRE_BLOCK.on(device), NEIGHBOUR_BLOCK.on(device)
    num_rows = max(num_rows, 1)
    centres = min(num_rows, most_centres, (budget - fixed) * 2 // 3 // centre)
    rest = budget - fixed - centres * centre
    return BlockPlan(centres, min(num_rows, most_neighbours, rest // neighbour))
