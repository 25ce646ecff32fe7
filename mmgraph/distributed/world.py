"""The processes of one training: which of them this is, and its share of the work."""

from __future__ import annotations

import os
from typing import NamedTuple

import torch.distributed as dist


class World(NamedTuple):
    """This process's number, from 0, and how many there are.

    Example:
        >>> World(1, 3).share(8)
        slice(3, 6, None)
    """

    rank: int
    size: int

    @property
    def is_first(self) -> bool:
        """True in the process that writes for all."""
        return self.rank == 0

    def share(self, total: int, multiple: int = 1) -> slice:
        """This process's rows of so many; the first processes have one more.

        Args:
            total: Rows of all processes together.
            multiple: Rows that stay together.

        Example:
            >>> [World(rank, 2).share(10, multiple=4) for rank in (0, 1)]
            [slice(0, 8, None), slice(8, 10, None)]
        """
        blocks = -(-total // multiple)
        each, more = divmod(blocks, self.size)
        start = each * self.rank + min(self.rank, more)
        stop = start + each + (self.rank < more)
        return slice(min(total, multiple * start), min(total, multiple * stop))

    def sizes(self, total: int, multiple: int = 1) -> list[int]:
        """How many of so many rows each process has.

        Example:
            >>> World(0, 3).sizes(8)
            [3, 3, 2]
        """
        others = (World(rank, self.size) for rank in range(self.size))
        shares = [other.share(total, multiple) for other in others]
        return [share.stop - share.start for share in shares]


def world() -> World:
    """The processes of torch's default group; one where there is none.

    Example:
        >>> world()
        World(rank=0, size=1)
    """
    if not (dist.is_available() and dist.is_initialized()):
        return World(0, 1)
    return World(dist.get_rank(), dist.get_world_size())


def processes_here() -> int:
    """Processes of the training on this machine, by what ``torchrun`` says.

    Example:
        >>> processes_here()
        1
    """
    return max(1, int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
