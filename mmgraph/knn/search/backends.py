"""Backends that propose, for every centre, the rows of largest inner product."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mmgraph.knn.options import check_options

# (query [B, D], count) -> (score [B, count] descending, index [B, count])
Search = Callable[[Tensor, int], tuple[Tensor, Tensor]]

_FAISS_GPU_LIMIT = 2048  # the largest count faiss can return on a GPU


def resolve_backend(backend: str, device: torch.device) -> str:
    """Choose a backend by the device of the features and what is installed.

    On a CPU ``auto`` is torch, which makes each product of a symmetric pair once
    (:mod:`mmgraph.knn.search.symmetric_search`) and needs no copy of the features; on a
    GPU it is faiss where that is installed for GPUs.

    Args:
        backend: ``auto``, ``torch``, ``faiss`` or ``faiss-gpu``.
        device: Device of the features.

    Returns:
        A backend that can run here.

    Raises:
        ValueError: The name is unknown, or the package or device is missing.

    Example:
        >>> resolve_backend("torch", torch.device("cpu"))
        'torch'
    """
    check_options(backend=backend)
    faiss = import_faiss()
    on_gpu = faiss is not None and getattr(faiss, "get_num_gpus", int)() > 0
    if backend == "auto":
        if device.type == "cuda":
            return "faiss-gpu" if on_gpu else "torch"
        return "torch"
    if backend == "faiss" and faiss is None:
        raise ValueError("backend 'faiss' needs faiss-cpu or faiss-gpu (got neither)")
    if backend == "faiss-gpu" and not on_gpu:
        raise ValueError("backend 'faiss-gpu' needs faiss-gpu and a GPU (got neither)")
    return backend


def build_search(backend: str, base: Tensor) -> Search:
    """Make the search of a resolved backend over the rows of ``base``.

    Args:
        backend: ``torch``, ``faiss`` or ``faiss-gpu``.
        base: float32 rows.

    Returns:
        A function from query rows and a count to the best scores, descending, and
        the rows that have them, on the device of the query.

    Shapes:
        base: ``[N, D]``.

    Example:
        >>> search = build_search("torch", torch.eye(3))
        >>> score, index = search(torch.tensor([[0.0, 2.0, 1.0]]), 2)
        >>> score.tolist(), index.tolist()
        ([[2.0, 1.0]], [[1, 2]])
    """
    if backend == "torch":
        return _torch_search(base)
    return _faiss_search(base, on_gpu=backend == "faiss-gpu")


def inner_products(query: Tensor, base: Tensor) -> Tensor:
    """All inner products of two matrices, in true float32.

    Args:
        query: float32 rows.
        base: float32 rows.

    Returns:
        float32 ``[B, N]``.

    Shapes:
        query: ``[B, D]``; base: ``[N, D]``.

    Example:
        >>> inner_products(torch.ones(1, 2), torch.eye(2)).tolist()
        [[1.0, 1.0]]
    """
    with _full_precision():
        return query @ base.T


def _torch_search(base: Tensor) -> Search:
    def search(query: Tensor, count: int) -> tuple[Tensor, Tensor]:
        score, index = inner_products(query, base).topk(count)
        return score, index

    return search


def _faiss_search(base: Tensor, *, on_gpu: bool) -> Search:
    faiss = import_faiss()
    rows = base.cpu().contiguous().numpy()
    if on_gpu:
        gpu_index = faiss.GpuIndexFlatIP(faiss.StandardGpuResources(), rows.shape[1])
        gpu_index.add(rows)
        on_torch = _torch_search(base)

    def search(query: Tensor, count: int) -> tuple[Tensor, Tensor]:
        host = query.cpu().contiguous().numpy()
        if not on_gpu:
            inner_product = faiss.METRIC_INNER_PRODUCT
            score, index = faiss.knn(host, rows, count, metric=inner_product)
        elif count > _FAISS_GPU_LIMIT:
            return on_torch(query, count)
        else:
            score, index = gpu_index.search(host, count)
        device = query.device
        return torch.from_numpy(score).to(device), torch.from_numpy(index).to(device)

    return search


def import_faiss() -> Any:
    """The package FAISS, None where it is not installed.

    Example:
        >>> import_faiss() is None or hasattr(import_faiss(), "IndexFlatIP")
        True
    """
    loader = logging.getLogger("faiss.loader")
    if loader.level == logging.NOTSET:  # it reports at length which build it tries
        loader.setLevel(logging.WARNING)
    try:
        return importlib.import_module("faiss")
    except ImportError:
        return None


@contextmanager
def _full_precision() -> Iterator[None]:
    """Keep TF32 and bfloat16 out of float32 products, whatever the user has set."""
    backends: tuple[Any, ...] = (torch.backends.cuda, torch.backends.mkldnn)
    settings = [backend.matmul for backend in backends]
    before = [setting.fp32_precision for setting in settings]
    try:
        for setting in settings:
            setting.fp32_precision = "ieee"
        yield
    finally:
        for setting, precision in zip(settings, before, strict=True):
            setting.fp32_precision = precision
