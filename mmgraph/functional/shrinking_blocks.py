"""Work in blocks of rows that become smaller when memory does not suffice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from mmgraph.functional.block_sizes import ran_out_of_memory

Result = TypeVar("Result")


def shrinking_blocks(
    compute: Callable[[int, int], Result], total: int, size: int
) -> Iterator[Result]:
    """Results for consecutive blocks of rows; without memory, for smaller ones.

    A block whose computation runs out of memory is computed again in halves, and the
    later ones are as small. Only a single row that does not fit is an error.

    Args:
        compute: Called with the first row of a block and the row after its last. It
            must leave nothing half-done when it fails; adding up is left to the caller,
            whose own errors are never caught.
        total: Number of rows.
        size: Rows of a block, at first.

    Yields:
        What ``compute`` returned, in the order of the rows.

    Example:
        >>> def compute(start, stop):
        ...     if stop - start > 2:
        ...         raise MemoryError
        ...     return start, stop
        >>> list(shrinking_blocks(compute, total=5, size=4))
        [(0, 2), (2, 4), (4, 5)]
    """
    start = 0
    while start < total:
        stop = min(start + size, total)
        try:
            result = compute(start, stop)
        except (MemoryError, RuntimeError) as error:
            if stop - start == 1 or not ran_out_of_memory(error):
                raise
            size = (stop - start) // 2
            continue  # after this clause, whose error holds what the block allocated
        yield result
        del result  # or it would lie beside the next one
        start = stop
