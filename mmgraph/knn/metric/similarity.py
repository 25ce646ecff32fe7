"""The similarity of a pair of rows, the same whoever asks and in what batch."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.knn.rows.chunks import rows_at_once

METRICS = ("cosine", "ip", "l2")


def row_norms(x: Tensor) -> Tensor:
    """Euclidean norm of every row, accumulated in float64.

    Args:
        x: Features of any floating dtype.

    Returns:
        float64 ``[N]``; NaN or infinite where the row is not finite.

    Shapes:
        x: ``[N, D]``.

    Example:
        >>> row_norms(torch.tensor([[3.0, 4.0]])).tolist()
        [5.0]
    """
    parts = [rows.double().square().sum(1) for rows in x.split(rows_at_once(x))]
    return torch.cat(parts).sqrt_()


def pair_similarity(
    x: Tensor, row: Tensor, col: Tensor, *, metric: str, norm: Tensor
) -> Tensor:
    """Similarity of given pairs of rows.

    ``cosine`` is ``<x, y> / (|x| |y|)``, ``ip`` is ``<x, y>`` and ``l2`` is
    ``-|x - y|^2``, so that larger is always nearer. Every pair is summed by itself
    in float64 from the rows as given (products of float32 are then exact) and
    rounded once to float32: neither the batch nor the search backend can change
    it, and ties of integer-valued rows stay ties.

    Args:
        x: Features.
        row: First row of each pair.
        col: Second row of each pair.
        metric: ``cosine``, ``ip`` or ``l2``.
        norm: ``row_norms(x)``.

    Returns:
        float32 ``[P]``.

    Shapes:
        x: ``[N, D]``; row, col: ``[P]``; norm: ``[N]``.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
        >>> row, col = torch.tensor([0, 0]), torch.tensor([1, 2])
        >>> pair_similarity(x, row, col, metric="cosine", norm=row_norms(x)).tolist()
        [1.0, 0.0]
        >>> pair_similarity(x, row, col, metric="l2", norm=row_norms(x)).tolist()
        [-1.0, -10.0]
    """
    similarity = torch.empty(len(row), dtype=torch.float32, device=x.device)
    step = rows_at_once(x)
    for start in range(0, len(row), step):
        part = slice(start, start + step)
        a = x.index_select(0, row[part]).double()
        b = x.index_select(0, col[part]).double()
        value = a.sub_(b).square_() if metric == "l2" else a.mul_(b)
        value = value.sum(1)
        if metric == "cosine":
            value /= norm[row[part]] * norm[col[part]]
        similarity[part] = -value if metric == "l2" else value
    return similarity
