"""The sparse product that every propagation is made of, by the kernel that is in use.

``auto`` is torch's own on a CPU, where it is the fastest, and torch-sparse's on CUDA
where that is installed. ``MMGRAPH_KERNEL``, or :func:`use_kernel`, asks for one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal, Protocol, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from mmgraph.errors import UserError, unknown_name

Kernel = Literal["auto", "torch", "torch-sparse"]
_asked: str | None = None  # of the process: a backward may run in another thread


class Matrix(Protocol):
    """A sparse matrix in CSR form, as :class:`~mmgraph.functional.Adjacency` is."""

    rowptr: Tensor
    col: Tensor
    weight: Tensor

    def csr(self, dtype: torch.dtype | None = None) -> Tensor:
        """As a ``torch.sparse_csr`` tensor."""

    def sparse_tensor(self, dtype: torch.dtype | None = None) -> Any:
        """As a ``torch_sparse.SparseTensor``."""


@contextmanager
def use_kernel(name: Kernel) -> Iterator[None]:
    """Multiply by one kernel inside the block.

    Args:
        name: ``"auto"``, ``"torch"`` or ``"torch-sparse"``.

    Raises:
        UserError: If it is unknown or not installed.

    Example:
        >>> with use_kernel("torch"):
        ...     kernel_of("cuda")
        'torch'
    """
    global _asked
    _check(name, "use_kernel")
    before, _asked = _asked, name
    try:
        yield
    finally:
        _asked = before


def kernel_of(device_type: str) -> str:
    """The kernel in use on a kind of device.

    Args:
        device_type: ``"cpu"`` or ``"cuda"``.

    Raises:
        UserError: If ``MMGRAPH_KERNEL`` asks for one that is unknown or not installed.

    Example:
        >>> kernel_of("cpu")
        'torch'
    """
    asked = _asked
    if asked is None:
        asked = os.environ.get("MMGRAPH_KERNEL", "auto")
        _check(asked, "MMGRAPH_KERNEL")
    if asked != "auto":
        return asked
    return "torch-sparse" if device_type == "cuda" and _has_torch_sparse() else "torch"


def _check(name: str, source: str) -> None:
    if name not in get_args(Kernel):
        raise unknown_name("kernel", name, get_args(Kernel))
    if name == "torch-sparse" and not _has_torch_sparse():
        raise UserError(
            f"{source} asks for torch-sparse, which is not installed",
            "install torch-sparse and torch-scatter, or use another kernel",
        )


@cache
def _has_torch_sparse() -> bool:
    return find_spec("torch_sparse") is not None


def multiply(matrix: Matrix, x: Tensor) -> Tensor:
    """The product with ``x``, which no autograd sees.

    Args:
        matrix: The sparse matrix ``[N, M]``.
        x: Dense matrix ``[M, d]``.

    Returns:
        ``[N, d]``.
    """
    if kernel_of(x.device.type) == "torch-sparse":
        from torch_sparse import matmul

        result: Tensor = matmul(matrix.sparse_tensor(x.dtype), x)
        return result
    if x.is_cuda:
        return matrix.csr(x.dtype) @ x
    weight = matrix.weight
    # Measured: benchmarks/propagation.py.
    return F.embedding_bag(
        matrix.col,
        x.contiguous(),
        matrix.rowptr,
        mode="sum",
        per_sample_weights=weight if weight.dtype == x.dtype else weight.to(x.dtype),
        include_last_offset=True,
    )
