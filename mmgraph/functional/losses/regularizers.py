"""The four penalties on embedding size that published systems use.

They differ in scale by orders of magnitude, so a weight tuned for one means nothing
for another.
"""

from __future__ import annotations

import torch
from torch import Tensor


def norm_penalty(*x: Tensor) -> Tensor:
    r"""Unsquared norms over rows: :math:`(|x_1|_F + |x_2|_F + \dots) / n`.

    :math:`n` is the number of rows of the last argument. The gradient has the same
    size however large ``x`` is.

    Args:
        *x: Embedding rows, each ``[n, d]``.

    Returns:
        A scalar.

    Example:
        >>> norm_penalty(torch.tensor([[3.0, 4.0]]), torch.ones(2, 2))
        tensor(3.5000)
    """
    return _sum(*(torch.linalg.vector_norm(rows) for rows in x)) / x[-1].size(0)


def half_square_penalty(*x: Tensor, batch_size: int = 2048) -> Tensor:
    r"""Half the squares over a constant: :math:`\frac{1}{2B} \sum_k |x_k|_F^2`.

    Args:
        *x: Embedding rows, each ``[n, d]``.
        batch_size: :math:`B`; a constant, also for a short last batch.

    Returns:
        A scalar.

    Example:
        >>> half_square_penalty(torch.ones(2, 2), batch_size=4)
        tensor(0.5000)
    """
    return half_square_sum_penalty(*x) / batch_size


def half_square_sum_penalty(*x: Tensor) -> Tensor:
    r"""Half the sum of squares: :math:`\frac{1}{2} \sum_k |x_k|_F^2`.

    Args:
        *x: Embedding rows, each ``[n, d]``.

    Returns:
        A scalar.

    Example:
        >>> half_square_sum_penalty(torch.ones(2, 2))
        tensor(2.)
    """
    return _sum(*(rows.square().sum() for rows in x)) / 2


def mean_square_penalty(*x: Tensor) -> Tensor:
    r"""Sum of mean squares: :math:`\sum_k \mathrm{mean}(x_k^2)`.

    Args:
        *x: Tensors of any shape.

    Returns:
        A scalar.

    Example:
        >>> mean_square_penalty(torch.ones(2, 2), torch.full((3,), 2.0))
        tensor(5.)
    """
    return _sum(*(rows.square().mean() for rows in x))


def _sum(*terms: Tensor) -> Tensor:
    if not terms:
        raise ValueError("a penalty needs at least one tensor (got none)")
    return torch.stack(terms).sum()
