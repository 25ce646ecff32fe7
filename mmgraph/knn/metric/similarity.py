"""The similarity of a pair of rows, the same whoever asks and in what batch."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.functional.block_sizes import WORKING_COPY


def pair_similarity(
    x: Tensor,
    row: Tensor,
    col: Tensor,
    *,
    metric: str,
    norm: Tensor,
    others: tuple[Tensor, Tensor] | None = None,
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
        norm: Norms of the rows of ``x``.
        others: Features and norms of the second rows, where they are not in ``x``.

    Returns:
        float32 ``[P]``.

    Shapes:
        x: ``[N, D]``; row, col: ``[P]``; norm: ``[N]``.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
        >>> row, col, norm = torch.tensor([0, 0]), torch.tensor([1, 2]), x.sum(1)
        >>> pair_similarity(x, row, col, metric="cosine", norm=norm).tolist()
        [1.0, 0.0]
        >>> pair_similarity(x, row, col, metric="l2", norm=norm).tolist()
        [-1.0, -10.0]
    """
    y, norm_y = (x, norm) if others is None else others
    similarity = torch.empty(len(row), dtype=torch.float32, device=x.device)
    step = WORKING_COPY.rows(x.size(1), x.device)
    for start in range(0, len(row), step):
        part = slice(start, start + step)
        a = x.index_select(0, row[part]).double()
        b = y.index_select(0, col[part]).double()
        value = a.sub_(b).square_() if metric == "l2" else a.mul_(b)
        value = value.sum(1)
        if metric == "cosine":
            value /= norm[row[part]] * norm_y[col[part]]
        similarity[part] = -value if metric == "l2" else value
    return similarity
