"""How this process gets its memory: settings of the C library and of the system."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

# Parameters of glibc's mallopt. Blocks above a threshold, of at most 32 MiB, are mapped
# one by one and handed back when they are freed, unless no block may be mapped.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_TRIM = 2**30
#: glibc's own settings of the same: whoever gives them has decided.
_SETTINGS = ("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
_LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def keep_freed_memory() -> bool:
    """Let this process reuse the memory of freed tensors on the CPU.

    By default the C library gives large blocks back to the system and asks for them
    again a moment later, page by page, in every step of a training. Kept, they save
    FREEDOM and BM3, as their public code has them, two fifths of their CPU time at the
    size of Amazon Baby, for up to 15 % more memory. With a million items the holes that
    stay are more: there ``MALLOC_MMAP_THRESHOLD_=4194304`` in the environment, or
    another setting of glibc's, takes precedence. The commands call it; a script that
    trains may, once, at its start.

    Returns:
        Whether it took effect; False where the environment has a setting, or the C
        library is not glibc.

    Example:
        >>> import sys
        >>> keep_freed_memory() or sys.platform != "linux"
        True
    """
    if any(name in os.environ for name in _SETTINGS):
        return False
    mallopt = _of_libc("mallopt")
    return bool(
        mallopt and mallopt(_M_TRIM_THRESHOLD, _TRIM) and mallopt(_M_MMAP_MAX, 0)
    )


def use_large_pages() -> bool:
    """Let torch ask the system for pages of 2 MiB where a tensor is as large.

    A page of 4 KiB at a time, memory that is new costs FREEDOM two fifths of its
    training with a million items; at the size of Amazon Baby it makes no difference.
    torch reads it when it is imported, so this comes before, and holds for the
    processes that this one starts. The commands call it.

    Returns:
        Whether the system gives them to those who ask.

    Example:
        >>> isinstance(use_large_pages(), bool)
        True
    """
    try:
        asked = "[madvise]" in _LARGE_PAGES.read_text()
    except OSError:
        return False
    if asked:
        os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    return asked


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
