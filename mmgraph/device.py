"""Devices of models and data."""

from __future__ import annotations

import copy
import os
import re
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.errors import UserError

#: Microseconds of all cores that a container may use per period, and the period.
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """Cores that this process may use, which may be fewer than the machine has.

    By its affinity (``taskset``, Slurm) and the limit of its container.

    Example:
        >>> 1 <= usable_cores() <= os.cpu_count()
        True
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    try:
        quota, period = _CPU_MAX.read_text().split()
        cores = min(cores, int(quota) // int(period))
    except (OSError, ValueError):  # no container, or "max"
        pass
    return max(1, cores)


def resolve_device(name: str | torch.device = "auto") -> torch.device:
    """The device that a name stands for.

    Args:
        name: ``"auto"`` (CUDA if there is one), ``"cpu"``, ``"cuda"`` or ``"cuda:n"``.

    Raises:
        UserError: If the name is unknown or the device is not there.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    check_device_name(name)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise UserError(
                f"device {name!r} is not there ({count} CUDA devices found)",
                "choose another device or auto",
            )
    return device


def check_device_name(name: str | torch.device) -> None:
    """Refuse a name that stands for no device, on whatever machine.

    Args:
        name: As :func:`resolve_device` takes it.

    Raises:
        UserError: If the name is unknown.

    Example:
        >>> check_device_name("cuda:1")
    """
    if not re.fullmatch(r"auto|cpu(:\d)?|cuda(:(0|[1-9]\d?))?", str(name)):
        raise UserError(
            f"unknown device {str(name)!r}", "choose auto, cpu, cuda or cuda:n"
        )


def device_name(device: torch.device) -> str:
    """What a run says about the device of its figures.

    Args:
        device: The device, to whose name "TF32" is added where torch rounds the factors
            of its float32 products to that format.

    Example:
        >>> device_name(torch.device("cpu"))
        'cpu'
    """
    rounds = torch.backends.cuda.matmul.fp32_precision == "tf32"
    return f"{device}, TF32" if device.type == "cuda" and rounds else str(device)


def device_of(module: nn.Module) -> torch.device:
    """The device of a module's first parameter or buffer; the CPU if it has none.

    Example:
        >>> device_of(torch.nn.Linear(2, 1))
        device(type='cpu')
    """
    first = next(chain(module.parameters(), module.buffers()), None)
    return torch.device("cpu") if first is None else first.device


def to_device(
    data: HeteroData, device: torch.device, memo: dict[int, Any] | None = None
) -> HeteroData:
    """``data`` on a device; what is there already is shared, the input is unchanged.

    Args:
        data: One split.
        device: Target.
        memo: Pass one dictionary for several splits and tensors that they share are
            moved once and stay shared.

    Example:
        >>> data = HeteroData()
        >>> data["item"].x_visual = torch.zeros(2, 1)
        >>> to_device(data, torch.device("cpu"))["item"].x_visual.device
        device(type='cpu')
    """
    memo = {} if memo is None else memo

    def move(tensor: Tensor) -> Tensor:
        # The original is kept beside its copy: a freed one could lend its id.
        if id(tensor) not in memo:
            memo[id(tensor)] = (tensor, tensor.to(device))
        copied: Tensor = memo[id(tensor)][1]
        return copied

    moved: HeteroData = copy.copy(data).apply(move)
    return moved
