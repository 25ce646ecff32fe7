"""Sizes of blocks by device, all of them here, halved where memory runs out."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from mmgraph.errors import UserError

_log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

#: What sizes are divided by at the moment; and at most, since then it is not the
#: blocks that fill the memory.
_DIVISOR: ContextVar[int] = ContextVar("divisor of block sizes", default=1)
_LARGEST_DIVISOR = 64


@dataclass(frozen=True)
class BlockSize:
    """The number of values that may be held at a time.

    Attributes:
        cpu: On a CPU.
        gpu: On any other device.
        fixed: Results change with it, so it is never halved.
    """

    cpu: int
    gpu: int
    fixed: bool = False

    def on(self, device: torch.device | str) -> int:
        """The size on a device.

        Example:
            >>> BlockSize(8, 64).on("cpu")
            8
        """
        size = self.cpu if torch.device(device).type == "cpu" else self.gpu
        return size if self.fixed else halved(size)

    def rows(
        self, row_size: int, device: torch.device | str = "cpu", *, least: int = 1
    ) -> int:
        """Rows that may be held at a time.

        Args:
            row_size: Numbers per row.
            device: Their device.
            least: Rows to hold in any case.

        Returns:
            A positive number of rows.

        Example:
            >>> BlockSize(2**17, 2**24).rows(1024)
            128
        """
        return max(least, self.on(device) // max(1, row_size))

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """The rows of a matrix in blocks of this size.

        Example:
            >>> [len(rows) for rows in BlockSize(4, 4).split(torch.zeros(5, 2))]
            [2, 2, 1]
        """
        blocks: tuple[Tensor, ...] = x.split(self.rows(x.size(1), x.device))
        return blocks


def halved(size: int) -> int:
    """A size as it is, or what :func:`halves_blocks` has made of it.

    Example:
        >>> halved(1024)
        1024
    """
    return max(1, size // _DIVISOR.get())


def halves_blocks(compute: Callable[P, T]) -> Callable[P, T]:
    """Make a function begin again with blocks of half the size when memory runs out.

    It must be free of effects. All sizes of this module are halved for it, but those
    that results depend on, so that its result is the same.

    Args:
        compute: The function.

    Returns:
        The function, which raises a ``UserError`` if the smallest blocks do not help.

    Example:
        >>> @halves_blocks
        ... def compute():
        ...     if READ.cpu // READ.on("cpu") < 4:
        ...         raise MemoryError
        ...     return "the same"
        >>> compute()
        'the same'
    """

    @functools.wraps(compute)
    def computed(*args: P.args, **kwargs: P.kwargs) -> T:
        divisor = _DIVISOR.get()
        while True:
            token = _DIVISOR.set(divisor)
            try:
                return compute(*args, **kwargs)
            except (MemoryError, RuntimeError) as error:
                if not ran_out_of_memory(error):
                    raise
            finally:
                _DIVISOR.reset(token)
            divisor *= 2  # outside of the handler, which holds what was computed
            if divisor > _LARGEST_DIVISOR:
                tried = f"blocks of 1/{divisor // 2} of their size"
                what = f"memory ran out, with {tried}, too"
                raise UserError(what, "free some memory, or compute less at once")
            _log.warning("memory ran out: again with blocks of 1/%d", divisor)
            if torch.cuda.is_initialized():
                torch.cuda.empty_cache()

    return computed


def ran_out_of_memory(error: BaseException) -> bool:
    """True if an error means that memory was asked for and refused.

    Example:
        >>> ran_out_of_memory(MemoryError()), ran_out_of_memory(RuntimeError("shape"))
        (True, False)
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # Torch has no class of its own for it on a CPU.
    words = ("can't allocate memory", "out of memory", "bad_alloc", "Storage size calc")
    return isinstance(error, RuntimeError) and any(w in str(error) for w in words)


_NO_LIMIT = 2**62

# Sizes that change nothing but speed and memory.
#: Working copies in float64: one core's cache (1 MiB), or enough to keep a GPU busy.
WORKING_COPY = BlockSize(2**17, 2**24)
#: Scores searched for the best: 64 MiB, or 1 GiB on a GPU; FAISS takes twice as long
#: with a quarter of it.
SEARCH_SCORES = BlockSize(2**24, 2**28)
#: The same where memory is budgeted.
BLOCK_SCORES = BlockSize(2**23, 2**28)
#: Scores gone through for centres whose neighbours are tied, or too few.
TIED_SCORES = BlockSize(2**22, 2**28)
#: Height and width of a tile of the symmetric search: 8 MiB of scores.
TILE_HEIGHT, TILE_WIDTH = BlockSize(1024, 1024), BlockSize(2048, 2048)
#: Candidate pairs and what is known of each: 6 MiB on a CPU.
CANDIDATE_PAIRS = BlockSize(2**18, 2**22)
#: Centres and neighbours of one block of a matrix on disk. Beyond these, larger blocks
#: save no time and lose more when a run is killed.
CENTRE_BLOCK = BlockSize(8192, 65536)
NEIGHBOUR_BLOCK = BlockSize(16384, 131072)
#: Numbers read and hashed at a time: 16 MiB in float64.
READ = BlockSize(2**21, 2**21)
#: Products of rows picked one by one: copies of this many rows exist.
PICKED_ROWS = 2**15
#: Values that the bootstrap resamples at a time.
RESAMPLED_VALUES = 2**22
#: Products of a sparse matrix with its transpose.
SPARSE_PRODUCTS = 2**23

# Sizes that decide in which order floating-point numbers are added: results change in
# their last digits with them.
#: Rows of a covariance that are held in float64.
COVARIANCE_ROWS = 2048
#: Similarities of a contrastive loss; a block that stays in cache is 1.7 times faster
#: at 7,000 rows. A GPU takes the block size it is given.
CONTRAST_SCORES = BlockSize(2**19, _NO_LIMIT, fixed=True)
#: Of each of the two blocks of GRACE: both stay in cache.
GRACE_SCORES = BlockSize(2**18, _NO_LIMIT, fixed=True)
#: Of a contrast of 64 columns or more, and the rows then: the products outweigh the
#: cache (at 19,000 rows of 128, 256 rows are 1.4 times faster than the 32 in cache).
WIDE_CONTRAST_SCORES = BlockSize(2**23, _NO_LIMIT, fixed=True)
WIDE_CONTRAST_ROWS = 256
#: Scores of users for all items; a product of other shape may round in another way.
USER_SCORES = BlockSize(2**22, 2**26, fixed=True)
#: The same in evaluation, which searches them at once: on a CPU few enough to stay in
#: its cache between product and search (1.4 times faster than 64 MiB).
RANKED_SCORES = BlockSize(2**20, 2**26, fixed=True)
#: Items of one tile of such scores where a catalogue has many: 128 users by this many
#: items are as many scores.
RANKED_TILE = 8192
#: Feature rows that are read and added up at a time.
FEATURE_ROWS = 8192
#: Users whose interactions with a planted catalogue are drawn at a time.
PLANTED_USERS = 1024
#: Rows of one refinement: a few copies of 64 columns stay in a core's cache.
REFINED_ROWS = BlockSize(2048, _NO_LIMIT, fixed=True)
