"""The least time that the operations of a step could take on this machine.

Each operation costs what the matrix product in it takes alone at its best, or its
exponentials, logarithms or random numbers in cache, or the bytes that it must read and
write at the measured bandwidth, whichever is more. The sum is a floor of the operations
as issued: what is above it is overhead, and what could be issued less is not seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Size, Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_LOOK_UPS = {f"aten::{n}" for n in ("index", "index_select", "embedding", "gather")}
_SCATTERS = ("index_add", "index_put", "scatter")
#: Where an operation has the two matrices of its product.
_PRODUCTS = {
    "aten::mm": (0, 1),
    "aten::bmm": (0, 1),
    "aten::addmm": (1, 2),
    "aten::addmm_": (1, 2),
    "aten::baddbmm": (1, 2),
    "aten::baddbmm_": (1, 2),
    "mkldnn::_linear_pointwise": (0, 1),
}
#: Functions whose elements cost more than their bytes.
_FUNCTIONS = {
    "exp": torch.exp,
    "log": torch.log,
    "rand": torch.rand_like,
    "rand_like": torch.rand_like,
}
Product = Callable[[Size, Size], float]
Function = Callable[[str], float]


class Roofline(TorchDispatchMode):
    """Counts the seconds that the operations inside could take at the least.

    Args:
        product: Seconds of a product of matrices of two sizes, :func:`product_seconds`.
        function: Seconds of an element of a function, :func:`function_seconds`.
        bandwidth: Bytes per second, see :func:`memory_bandwidth`.

    Attributes:
        seconds: The floor.
    """

    def __init__(self, product: Product, function: Function, bandwidth: float) -> None:
        super().__init__()
        self.product, self.function, self.bandwidth = product, function, bandwidth
        self.seconds = 0.0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        """Run an operation and add its floor."""
        out = func(*args, **(kwargs or {}))
        if not getattr(func, "is_view", False):
            name = func._schema.name
            computed = 0.0
            function = name.removeprefix("aten::").removesuffix("_")
            if function in _FUNCTIONS:
                computed = out.numel() * self.function(function)
            if name in _PRODUCTS:
                left, right = (args[place].shape for place in _PRODUCTS[name])
                if "linear" in name:  # by the transpose of the weights
                    right = Size(right[::-1])
                computed = self.product(left, right)
            moved = _bytes(name, args, kwargs or {}, out)
            self.seconds += max(computed, moved / self.bandwidth)
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
def product_seconds(left: Size, right: Size, device: str = "cpu") -> float:
    """Least seconds of a float32 product of matrices, or batches of them, alone."""
    x, y = torch.ones(left, device=device), torch.ones(right, device=device)
    out = x @ y
    return _seconds(lambda: torch.matmul(x, y, out=out), device)


@cache
def function_seconds(name: str, device: str = "cpu") -> float:
    """Least seconds of an element of a function, in a matrix that fits a cache."""
    x = torch.ones(256, 1024, device=device)
    return _seconds(lambda: _FUNCTIONS[name](x), device) / x.numel()


@cache
def memory_bandwidth(device: str = "cpu") -> float:
    """Bytes read and written per second by an addition of large matrices."""
    x = torch.ones(4096, 4096, device=device)
    return 3 * x.nbytes / _seconds(lambda: torch.add(x, x, out=x), device)


def _seconds(work: Callable[[], object], device: str) -> float:
    """The best of ten, or of those of a second: a disturbance only makes one longer."""
    taken: list[float] = []
    while len(taken) < 10 and sum(taken) < 1:
        begin = now(device)
        work()
        taken.append(now(device) - begin)
    return min(taken)


def now(device: str = "cpu") -> float:
    """CPU seconds of this process; on a GPU seconds of the clock, its work finished."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()
