"""Settings of the C library's allocator in this process."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import cast

# Parameters of glibc's mallopt; it takes no mmap threshold beyond 32 MiB.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_TRIM, _MMAP = 2**30, 32 * 2**20


def keep_freed_memory() -> bool:
    """Let this process reuse the memory of freed tensors of up to 32 MiB on the CPU.

    By default the C library gives such blocks back to the system and asks for them
    again a moment later, page by page, in every step of a training. Kept, they save
    LightGCN and FREEDOM a third, LayerGCN two fifths of their CPU time at the size of
    Amazon Baby. The commands call it; a script that trains may, once, at its start.

    Returns:
        Whether it took effect; False where the C library is not glibc.

    Example:
        >>> import sys
        >>> keep_freed_memory() or sys.platform != "linux"
        True
    """
    mallopt = _of_libc("mallopt")
    return bool(
        mallopt
        and mallopt(_M_TRIM_THRESHOLD, _TRIM)
        and mallopt(_M_MMAP_THRESHOLD, _MMAP)
    )


def give_back_freed_memory() -> None:
    """Hand what was kept back to the system, so that a new measurement starts without.

    Example:
        >>> give_back_freed_memory()
    """
    if malloc_trim := _of_libc("malloc_trim"):
        malloc_trim(0)


def _of_libc(name: str) -> Callable[..., int] | None:
    try:
        return cast(Callable[..., int], getattr(ctypes.CDLL(None), name))
    except (AttributeError, OSError, TypeError):
        return None
