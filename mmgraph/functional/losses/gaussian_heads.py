r"""Output layers of a Gaussian :math:`q(y | x)`, without gradient descent.

Given the hidden units, the mean's output layer is a weighted least-squares problem and
that of the log-variance is fitted by a few steps of scoring; alternated, they end at
the output layers of maximum likelihood.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Weight of the present solution, beside a mean squared feature: what the rows leave
#: open stays as it is. It slows the steps down and does not move where they end.
DAMPING = 1e-3
#: Least squared slope of tanh in the curvature, which is flat in its tails.
FLATNESS = 1e-2


def mean_head(features: Tensor, y: Tensor, log_var: Tensor, weight: Tensor) -> Tensor:
    r"""Weighted least squares for the mean, one weight per row and column.

    .. math::
        \arg\min_{\mathbf{W}} \sum_{i,d} e^{-\log \sigma_{id}^2}
        (y_{id} - \mathbf{w}_d^\top \mathbf{h}_i)^2

    up to :data:`DAMPING`, which holds on to ``weight`` in directions without rows.

    Args:
        features: :math:`\mathbf{h}`, ``[N, k]``; a column of ones makes a bias.
        y: Outputs ``[N, d]``.
        log_var: :math:`\log \sigma^2`, ``[N, d]``.
        weight: The present weights ``[d, k]``.

    Returns:
        The new weights ``[d, k]``; with them the likelihood is no smaller.

    Example:
        >>> h = torch.tensor([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]])
        >>> y = 2 * h[:, :1] + 1
        >>> w = mean_head(h, y, torch.zeros(3, 1), torch.zeros(1, 2))
        >>> for _ in range(20):
        ...     w = mean_head(h, y, torch.zeros(3, 1), w)
        >>> w.round(decimals=3)
        tensor([[2., 1.]])
    """
    inverse = (-log_var).exp()
    downhill = (inverse * (y - features @ weight.T)).T @ features
    return weight + _solve(features, inverse, downhill)


def log_variance_head(features: Tensor, square: Tensor, weight: Tensor) -> Tensor:
    r"""One step of scoring for the log-variance :math:`\tanh(\mathbf{V} \mathbf{h})`.

    Minimises :math:`\sum_{i,d} t_{id} + r_{id}^2 e^{-t_{id}}` with
    :math:`t = \tanh(\mathbf{V} \mathbf{h})` by Newton's step with the expected
    curvature :math:`(1 - t^2)^2`. An output for which the step does not pay keeps its
    weights.

    Args:
        features: :math:`\mathbf{h}`, ``[N, k]``.
        square: Squared errors of the mean :math:`r^2`, ``[N, d]``.
        weight: The present weights :math:`\mathbf{V}`, ``[d, k]``.

    Returns:
        The new weights ``[d, k]``; with them the likelihood is no smaller.

    Example:
        >>> ones, v = torch.ones(4, 1), torch.zeros(1, 1)
        >>> for _ in range(20):
        ...     v = log_variance_head(ones, 1.5 * ones, v)
        >>> bool((v.tanh().exp() - 1.5).abs() < 1e-3)
        True
    """
    log_var = (features @ weight.T).tanh()
    slope = 1 - log_var.square()
    downhill = (slope * (square * (-log_var).exp() - 1)).T @ features
    curvature = slope.square() + FLATNESS
    moved = weight + _solve(features, curvature, downhill)
    before = _log_variance_loss(features, square, weight)
    pays = _log_variance_loss(features, square, moved) < before
    return torch.where(pays.unsqueeze(1), moved, weight)


def _log_variance_loss(features: Tensor, square: Tensor, weight: Tensor) -> Tensor:
    """The loss of each output ``[d]``."""
    log_var = (features @ weight.T).tanh()
    return torch.addcmul(log_var, square, (-log_var).exp()).mean(dim=0)


def _solve(features: Tensor, weights: Tensor, right: Tensor) -> Tensor:
    """``right`` ``[d, k]`` over the second moments, weighted for each output."""
    k = features.size(1)
    products = (features.unsqueeze(2) * features.unsqueeze(1)).flatten(1)
    moments = (weights.T @ products).view(-1, k, k)
    size = moments.diagonal(dim1=1, dim2=2).mean(dim=1) * DAMPING
    eye = torch.eye(k, dtype=features.dtype, device=features.device)
    # Something on the diagonal where all features are zero.
    size = size.clamp(min=torch.finfo(features.dtype).tiny ** 0.5)
    moments = moments + size[:, None, None] * eye
    solved: Tensor = torch.linalg.solve_ex(moments, right.unsqueeze(2)).result
    return solved.squeeze(2)
