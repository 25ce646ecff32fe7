"""Walking over a large table a cache-sized piece at a time."""

from __future__ import annotations

import torch
from torch import Tensor


def rows_at_once(x: Tensor) -> int:
    """Rows whose float64 copy stays in a core's cache, or keeps a GPU busy.

    Args:
        x: Features.

    Returns:
        A positive number of rows.

    Shapes:
        x: ``[N, D]``.

    Example:
        >>> rows_at_once(torch.zeros(5, 1024))
        128
    """
    elements = 2**17 if x.device.type == "cpu" else 2**24
    return max(1, elements // max(1, x.size(1)))


def divided_rows(x: Tensor, norm: Tensor) -> Tensor:
    """Rows divided by a number each, in float64 and rounded once to float32.

    Args:
        x: Features.
        norm: float64 numbers.

    Shapes:
        x: ``[N, D]``; norm: ``[N]``; returns float32 ``[N, D]``.

    Example:
        >>> divided_rows(torch.tensor([[3.0, 4.0]]), torch.tensor([5.0]).double())
        tensor([[0.6000, 0.8000]])
    """
    result = torch.empty(x.shape, dtype=torch.float32, device=x.device)
    step = rows_at_once(x)
    for start in range(0, len(x), step):
        part = slice(start, start + step)
        result[part] = x[part] / norm[part, None]
    return result
