"""How the C library of this process hands memory out."""

from __future__ import annotations

import ctypes

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
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, _TRIM) and mallopt(_M_MMAP_THRESHOLD, _MMAP))
