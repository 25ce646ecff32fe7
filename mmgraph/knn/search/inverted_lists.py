"""Approximate search: a few cells of a Voronoi partition instead of all rows."""

from __future__ import annotations

import importlib
import math
from typing import Any

import torch
from torch import Tensor

from mmgraph.errors import UserError
from mmgraph.functional.block_sizes import TIED_SCORES
from mmgraph.knn.search.backends import inner_products

_TRAINED_PER_CELL = 64  # rows; k-means gains little from more
_ITERATIONS = 10


class InvertedLists:
    """FAISS' IVF-Flat over the rows of a block, as a search.

    Rows are assigned to the nearest of ``num_cells`` k-means centres; a query looks
    into its ``probe`` nearest cells only and computes products there as they are.

    Args:
        base: float32 rows as neighbours.
        metric: ``cosine``, ``ip`` or ``l2``; the last column of ``base`` is then minus
            half the squared length, as
            :class:`mmgraph.knn.metric.products.MetricProducts` has it.
        num_cells: Number of cells.

    Attributes:
        num_cells: Number of cells.
        probe: Cells a query looks into; may be set.

    Raises:
        UserError: FAISS is not installed.

    Shapes:
        base: ``[N, D']``.
    """

    def __init__(self, base: Tensor, metric: str, num_cells: int) -> None:
        try:
            faiss: Any = importlib.import_module("faiss")
        except ImportError:
            raise UserError(
                "approximate search needs FAISS", "pip install 'mmgraph[cpu]'"
            ) from None
        self.num_cells, self.probe = num_cells, 1
        self._is_l2, self._base = metric == "l2", base
        rows = self._rows(base)
        dim = rows.shape[1]
        if self._is_l2:
            self._quantiser = faiss.IndexFlatL2(dim)
            kind = faiss.METRIC_L2
        else:
            self._quantiser = faiss.IndexFlatIP(dim)
            kind = faiss.METRIC_INNER_PRODUCT
        self._index = faiss.IndexIVFFlat(self._quantiser, dim, num_cells, kind)
        self._index.cp.max_points_per_centroid = _TRAINED_PER_CELL
        self._index.cp.min_points_per_centroid = 1  # few rows: no warning
        self._index.cp.niter = _ITERATIONS
        self._index.cp.spherical = not self._is_l2
        self._index.train(rows)
        self._index.add(rows)

    def cost(self) -> float:
        """Products per query, cells of equal size assumed."""
        return self.num_cells + self.probe * len(self._base) / self.num_cells

    def __call__(self, query: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Best products and their rows, a :data:`mmgraph.knn.search.backends.Search`.

        A query whose cells hold fewer than ``count`` rows is compared with all rows.

        Args:
            query: float32 rows as centres.
            count: Rows to return per query.

        Shapes:
            query: ``[B, D']``; returns ``[B, count]`` twice.
        """
        rows = self._rows(query)
        self._index.nprobe = min(self.probe, self.num_cells)
        score, id = self._index.search(rows, count)
        product, index = torch.from_numpy(score), torch.from_numpy(id)
        if self._is_l2:  # |q - x|^2 = |q|^2 - 2 (<q, x> - |x|^2 / 2)
            length = torch.from_numpy(rows).square().sum(1, keepdim=True)
            product = (length - product) / 2
        few = (index < 0).any(1).nonzero().flatten()
        for some in few.split(TIED_SCORES.rows(len(self._base))):
            best = inner_products(query[some], self._base).topk(count)
            product[some], index[some] = best.values, best.indices
        return product, index

    def _rows(self, x: Tensor) -> Any:
        return (x[:, :-1] if self._is_l2 else x).contiguous().numpy()


def cells_to_try(num_rows: int) -> list[int]:
    """Numbers of cells worth measuring: from few large ones to many small ones.

    Example:
        >>> cells_to_try(10_000)
        [100, 400]
    """
    root = math.isqrt(num_rows)
    return [max(1, root), max(1, min(4 * root, num_rows // 4))]
