"""A share of work that machines divide among themselves, as ``2/3``."""

from __future__ import annotations

import re

from mmgraph.errors import UserError


def parse_shard(shard: str) -> tuple[int, int]:
    """Number of a share of the work, from 1, and how many shares there are.

    Raises:
        UserError: If it is not ``i/n`` with ``i`` from 1 to ``n``.

    Example:
        >>> parse_shard("2/3")
        (2, 3)
    """
    numbers = re.fullmatch(r"(\d{1,9})/(\d{1,9})", shard, re.ASCII)
    if numbers and 1 <= int(numbers[1]) <= int(numbers[2]):
        return int(numbers[1]), int(numbers[2])
    raise UserError(f"no such shard: {shard[:40]!r}", "write i/n with i from 1 to n")
