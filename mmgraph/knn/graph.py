"""The exact k-nearest-neighbour graph of a feature matrix."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmgraph.functional.block_sizes import SEARCH_SCORES, halved, halves_blocks
from mmgraph.knn.metric.products import MetricProducts, metric_products
from mmgraph.knn.metric.self_products import self_products
from mmgraph.knn.options import check_options
from mmgraph.knn.rows.matrix_statistics import MatrixStatistics, matrix_statistics
from mmgraph.knn.rows.row_groups import RowGroups
from mmgraph.knn.rows.usable_rows import UsableRows
from mmgraph.knn.search.backends import build_search, resolve_backend
from mmgraph.knn.search.block_search import BlockSearch
from mmgraph.knn.search.drop_self import drop_self
from mmgraph.knn.search.exact_neighbours import exact_neighbours
from mmgraph.knn.search.row_block import row_block
from mmgraph.knn.search.running_top_k import RunningTopK


@torch.no_grad()
def knn_graph(
    x: Tensor | np.ndarray[Any, Any],
    k: int,
    *,
    metric: str = "cosine",
    backend: str = "auto",
    include_self: bool = False,
    block_size: int | None = None,
    nan: str = "refuse",
    duplicates: str = "keep",
) -> tuple[Tensor, Tensor]:
    """Build the exact kNN graph of the rows of ``x``.

    The result is a function of ``x``, ``k``, ``metric``, ``include_self``, ``nan`` and
    ``duplicates`` alone.
    Backends only propose candidates, enough of them that float32 rounding and ties
    at the k-th place cannot leave a neighbour out; the similarity of each pair is
    then summed in float64, rounded to float32, and orders the neighbours.

    A zero row (a missing feature) has no edges, in either direction, for every metric.

    Args:
        x: Features, real numbers: a tensor, an array or a frame; row numbers are
            positions, whatever its index. Torch works on their device.
        k: Neighbours per row.
        metric: ``cosine``; ``ip``, the inner product; or ``l2``, whose similarity
            is minus the squared Euclidean distance.
        backend: ``auto``, ``torch``, ``faiss`` or ``faiss-gpu``. ``auto`` takes
            faiss on a GPU where it is installed for that, else torch.
        include_self: Let a row be its own neighbour.
        block_size: Centres searched at a time. On a CPU torch needs some tens of MiB
            beside the features and the result; otherwise the features are copied and
            memory grows with ``block_size * N``, by default by about 64 MiB (1 GiB on
            a GPU).
        nan: ``refuse`` a row with NaN or infinity, or ``isolate`` it as a zero row is.
        duplicates: ``keep`` equal rows, or ``collapse`` them: the first of each group
            stands for all, its copies have no edges.

    Returns:
        ``edge_index`` int64 and ``similarity`` float32. Row 0 of ``edge_index`` is
        the neighbour, row 1 the centre; the order is centre ascending, similarity
        descending, neighbour ascending. ``k' = min(k, candidates)``.

    Shapes:
        x: ``[N, D]``; edge_index: ``[2, N * k']``; similarity: ``[N * k']``, N
        counting the rows that are not isolated.

    Raises:
        ValueError: An option is out of range, the backend is not installed, or a
            row holds NaN or an infinite value and ``nan`` refuses it.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.0, 0.0]])
        >>> edge_index, similarity = knn_graph(x, k=1)
        >>> edge_index
        tensor([[1, 0, 1],
                [0, 1, 2]])
        >>> similarity
        tensor([0.9950, 0.9950, 0.0995])
    """
    x, k = _checked(x, k, metric, block_size), int(k)
    backend = resolve_backend(backend, x.device)
    statistics = matrix_statistics(x, metric, nan=nan, duplicates=duplicates)
    row = statistics.row
    k = min(k, len(row) - (not include_self))
    if k <= 0:
        return x.new_zeros((2, 0), dtype=torch.long), x.new_zeros(0).float()
    # Every row is a candidate of its own while it is searched.
    count = k + (not include_self)
    if backend == "torch" and x.device.type == "cpu":
        nearest, group = _symmetric_search(x, statistics, metric, count, block_size)
    else:
        products = metric_products(x, statistics, metric)
        rows = UsableRows.of(x, statistics.norm)
        nearest, group = _index_search(rows, products, count, backend, block_size)
    neighbour, similarity = nearest.neighbour[group], nearest.score[group]
    if not include_self:
        neighbour, similarity = drop_self(row, neighbour, similarity)
    edge_index = torch.stack([neighbour.flatten(), row.repeat_interleave(k)])
    return edge_index, similarity.flatten()


@halves_blocks
def _symmetric_search(
    x: Tensor,
    statistics: MatrixStatistics,
    metric: str,
    count: int,
    block_size: int | None,
) -> tuple[RunningTopK, Tensor]:
    """Neighbours of the distinct rows, and the distinct row of each row."""
    groups = RowGroups.find(x, statistics.row)
    products = self_products(x, statistics, metric, groups.first)
    nearest = exact_neighbours(products, groups, count, block_size=block_size)
    return nearest, groups.group


@halves_blocks
def _index_search(
    rows: UsableRows,
    products: MetricProducts,
    count: int,
    backend: str,
    block_size: int | None,
) -> tuple[RunningTopK, Tensor]:
    """The same by an index over a copy of the rows."""
    block = row_block(rows, products)
    search = BlockSearch(block.rows, products, count)
    at_once = SEARCH_SCORES.rows(len(block.rows), rows.x.device, least=64)
    at_once = halved(block_size) if block_size else at_once
    search.add(block, build_search(backend, block.product), at_once)
    return search.nearest, block.groups.group


def _checked(
    x: Tensor | np.ndarray[Any, Any], k: int, metric: str, block_size: int | None
) -> Tensor:
    check_options(k=k, metric=metric, block_size=block_size)
    if hasattr(x, "__array__") and not isinstance(x, Tensor):  # a frame, too
        x = np.asarray(x)
        if x.dtype.kind not in "fiubc":
            raise ValueError(f"features must be real numbers (got {x.dtype})")
        if not x.dtype.isnative or min(x.strides, default=0) < 0:  # torch takes neither
            x = np.ascontiguousarray(x, x.dtype.newbyteorder("="))
    with warnings.catch_warnings():  # a memory-mapped array is read-only: never written
        warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
        x = torch.as_tensor(x)
    if x.ndim != 2 or x.size(1) == 0:
        raise ValueError(f"features must be a matrix [N, D], D > 0 (got {[*x.shape]})")
    if x.is_complex():
        raise ValueError(f"features must be real numbers (got {x.dtype})")
    return x if x.is_floating_point() else x.double()
