"""Settings of the C library's allocator in this process."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import cast

# Parameters of glibc's mallopt. Blocks above a threshold, of at most 32 MiB, are mapped
# one by one and handed back when they are freed, unless no block may be mapped.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_TRIM = 2**30


def keep_freed_memory() -> bool:
    """Let this process reuse the memory of freed tensors on the CPU.

    By default the C library gives large blocks back to the system and asks for them
    again a moment later, page by page, in every step of a training. Kept, they save
    FREEDOM and BM3, as their public code has them, two fifths of their CPU time at the
    size of Amazon Baby, for up to 15 % more memory; with a million items the holes that
    stay take more, FREEDOM 9.4 GiB. The commands call it; a script that trains may,
    once, at its start.

    Returns:
        Whether it took effect; False where the C library is not glibc.

    Example:
        >>> import sys
        >>> keep_freed_memory() or sys.platform != "linux"
        True
    """
    mallopt = _of_libc("mallopt")
    return bool(
        mallopt and mallopt(_M_TRIM_THRESHOLD, _TRIM) and mallopt(_M_MMAP_MAX, 0)
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
