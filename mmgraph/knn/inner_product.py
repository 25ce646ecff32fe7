"""Every metric as a search for the largest inner product."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mmgraph.knn.blocks import divided_rows, rows_at_once
from mmgraph.knn.tolerance import product_tolerance


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
    """Map a metric to inner products of bounded rounding error.

    A centre's list does not change when its row is scaled, so centres are unit rows
    for ``cosine`` and ``ip``. For ``l2``, ``|x - y|^2 = |x|^2 - 2 (<x, y> -
    |y|^2 / 2)``: one more column carries ``-|y|^2 / 2``, after centring, which
    leaves distances alone and loses fewer digits.

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
    tolerance = product_tolerance(x.size(1), metric)
    if metric == "l2":
        centred, length = _centred(x)
        half = (length.square() / 2).float()[:, None]
        query = torch.cat([centred, torch.ones_like(half)], 1)
        base = torch.cat([centred, -half], 1)
        return InnerProductSpace(query, base, tolerance)
    unit = divided_rows(x, norm)
    if metric == "cosine":
        return InnerProductSpace(unit, unit, tolerance)
    base = divided_rows(x, norm.max().expand_as(norm))
    return InnerProductSpace(unit, base, tolerance)


def _centred(x: Tensor) -> tuple[Tensor, Tensor]:
    """Float32 rows minus their mean, the longest of length 1, and the lengths."""
    mean = x.mean(0, dtype=torch.float64)
    blocks = x.split(rows_at_once(x))
    length = torch.cat([(rows - mean).square_().sum(1) for rows in blocks]).sqrt_()
    scale = length.max()
    if scale == 0:
        return torch.zeros(x.shape, dtype=torch.float32, device=x.device), length
    centred = torch.cat([((rows - mean) / scale).float() for rows in blocks])
    return centred, length / scale
