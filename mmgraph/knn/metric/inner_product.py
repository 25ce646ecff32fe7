"""Every metric as a search for the largest inner product."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mmgraph.knn.metric.block_products import BlockProducts
from mmgraph.knn.metric.similarity import row_norms
from mmgraph.knn.rows.chunks import rows_at_once
from mmgraph.knn.rows.survey import Survey


@dataclass(frozen=True)
class InnerProductSpace:
    """Rows whose float32 inner products order candidates as a metric does.

    Attributes:
        query: float32 ``[N, D']``, the rows as centres.
        base: float32 ``[N, D']``, the rows as neighbours.
        tolerance: A pair whose float32 product lies further than this below that
            of another cannot have the larger or an equal similarity.
    """

    query: Tensor
    base: Tensor
    tolerance: float


def inner_product_space(x: Tensor, norm: Tensor, metric: str) -> InnerProductSpace:
    """Map a metric to inner products, for a table that is in memory as a whole.

    The map is :class:`mmgraph.knn.metric.block_products.BlockProducts`.

    Args:
        x: Features, no row zero, float32 range.
        norm: ``row_norms(x)``.
        metric: ``cosine``, ``ip`` or ``l2``.

    Returns:
        The rows to search among and the tolerance of their products.

    Shapes:
        x: ``[N, D]``; norm: ``[N]``.

    Example:
        >>> x = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
        >>> inner_product_space(x, torch.tensor([5.0, 2.0]).double(), "cosine").base
        tensor([[0.6000, 0.8000],
                [0.0000, 1.0000]])
    """
    centre, scale = x.new_zeros(x.size(1), dtype=torch.float64), 1.0
    if metric == "ip":
        scale = float(norm.max())
    if metric == "l2":
        centre = x.mean(0, dtype=torch.float64)
        blocks = x.split(rows_at_once(x))
        scale = max(float(row_norms(rows - centre).max()) for rows in blocks)
    products = BlockProducts(metric, Survey(norm, centre, scale or 1.0))
    query = products.centres(x, norm)
    base = query if metric == "cosine" else products.neighbours(x, norm)
    return InnerProductSpace(query, base, products.tolerance)
