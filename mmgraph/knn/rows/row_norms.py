"""Norms of rows in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.functional.block_sizes import WORKING_COPY


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
    parts = [rows.double().square().sum(1) for rows in WORKING_COPY.split(x)]
    return torch.cat(parts).sqrt_()
