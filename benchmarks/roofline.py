"""The least time that the operations of a step could take on this machine.

Each operation costs its multiplications at the measured rate of a matrix product, or
the bytes that it must read and write at the measured bandwidth, whichever is more. The
sum is a floor of the operations as issued: what is above it is overhead, and what could
be issued less is not seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

_LOOK_UPS = {f"aten::{n}" for n in ("index", "index_select", "embedding", "gather")}
_SCATTERS = ("index_add", "index_put", "scatter")


class Roofline(TorchDispatchMode):
    """Counts the seconds that the operations inside could take at the least.

    Args:
        flops: Floating-point operations per second, see :func:`gemm_rate`.
        bandwidth: Bytes per second, see :func:`memory_bandwidth`.

    Attributes:
        seconds: The floor.
    """

    def __init__(self, flops: float, bandwidth: float) -> None:
        super().__init__()
        self.flops, self.bandwidth, self.seconds = flops, bandwidth, 0.0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        """Run an operation and add its floor."""
        out = func(*args, **(kwargs or {}))
        if not getattr(func, "is_view", False):
            count = flop_registry.get(func._overloadpacket)
            products = count(*args, **(kwargs or {}), out_val=out) if count else 0
            moved = _bytes(func._schema.name, args, kwargs or {}, out)
            self.seconds += max(products / self.flops, moved / self.bandwidth)
        return out


def _bytes(name: str, args: Any, kwargs: Any, out: Any) -> float:
    """Bytes that an operation must read and write."""
    inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    outputs = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
    read, written = sum(map(_size, inputs)), sum(map(_size, outputs))
    if "embedding_bag" in name:  # a sparse product: a row is read for each entry
        return written + inputs[1].numel() * (inputs[0][:1].nbytes + 12)
    if "embedding_dense_backward" in name:
        return written + 3 * _size(inputs[0])
    if any(part in name for part in _SCATTERS):
        return (0 if name.endswith("_") else 2 * written) + 3 * _size(inputs[-1])
    if name in _LOOK_UPS:  # the rows taken, not all
        return 2 * written
    if "fused_adam" in name:  # reads parameter, gradient and two moments, writes three
        return read * 7 / 4
    if name.endswith("_"):
        return read + _size(inputs[0])
    return read + written


def _size(tensor: Tensor) -> int:
    """Bytes in memory; an expanded tensor has those of what it repeats."""
    if tensor.layout != torch.strided:
        return 0
    return min(tensor.nbytes, tensor.untyped_storage().nbytes())


@cache
def gemm_rate(device: str = "cpu") -> float:
    """Floating-point operations per second of a float32 matrix product."""
    x = torch.ones(2048, 2048, device=device)
    return 2 * 2048**3 / _seconds(lambda: x @ x, device)


@cache
def memory_bandwidth(device: str = "cpu") -> float:
    """Bytes read and written per second by an addition of large matrices."""
    x = torch.ones(4096, 4096, device=device)
    return 3 * x.nbytes / _seconds(lambda: torch.add(x, x, out=x), device)


def _seconds(work: Callable[[], object], device: str) -> float:
    """The best of ten, since a disturbance only makes one longer."""
    best = float("inf")
    for _ in range(10):
        begin = now(device)
        work()
        best = min(best, now(device) - begin)
    return best


def now(device: str = "cpu") -> float:
    """CPU seconds of this process; on a GPU seconds of the clock, its work finished."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()
