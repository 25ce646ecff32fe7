"""Peak memory of one run."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import torch

from mmgraph.allocator import give_back_freed_memory

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak_memory() -> None:
    """Start a new measurement for :func:`peak_memory`.

    Example:
        >>> reset_peak_memory()
    """
    give_back_freed_memory()  # of earlier runs
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):  # Linux: the resident peak restarts at the present size
        _CLEAR.write_text("5")


def peak_memory(device: torch.device) -> int:
    """Peak memory in bytes since :func:`reset_peak_memory`.

    Args:
        device: The run's device. On CUDA: bytes of tensors allocated there. On
            the CPU: resident bytes of the whole process, Python and libraries
            included; outside Linux the peak since the process began.

    Example:
        >>> peak_memory(torch.device("cpu")) > 0
        True
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
