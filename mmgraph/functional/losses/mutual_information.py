"""CLUB: an upper bound of mutual information from a Gaussian conditional."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

#: Weight and bias of the first and of the second layer of a network.
TwoLayers = tuple[Tensor, Tensor, Tensor, Tensor]


def gaussian_log_likelihood(mean: Tensor, log_var: Tensor, y: Tensor) -> Tensor:
    r"""Mean log-likelihood of ``y``, up to the constant :math:`-d \ln(2\pi)/2`.

    .. math::
        \frac{1}{N} \sum_{i,d} -\frac{(\mu_{id} - y_{id})^2}{2 \sigma_{id}^2}
        - \frac{\log \sigma_{id}^2}{2}

    Args:
        mean: :math:`\mu`, ``[N, d]``.
        log_var: :math:`\log \sigma^2`, ``[N, d]``.
        y: ``[N, d]``.

    Returns:
        A scalar.

    Example:
        >>> zero = torch.zeros(2, 3)
        >>> gaussian_log_likelihood(zero, zero, torch.ones(2, 3))
        tensor(-1.5000)
    """
    square = (mean - y).square() * (-log_var).exp()
    return (square + log_var).sum() / (-2 * y.size(0))


def gaussian_network_loss(
    x: Tensor, y: Tensor, mean: TwoLayers, log_var: TwoLayers
) -> Tensor:
    r"""Negative :func:`gaussian_log_likelihood` whose moments are networks of ``x``.

    .. math::
        \mu(\mathbf{x}) = \mathbf{W}_2 (\mathbf{W}_1 \mathbf{x} + \mathbf{b}_1)_+
        + \mathbf{b}_2

    and :math:`\log \sigma^2` the tanh of such a network. An estimator of CLUB takes
    dozens of steps per batch with it. Weights have their gradients, made in the forward
    pass; ``x`` and ``y`` have none, and there is no second derivative.

    Args:
        x: Inputs ``[N, d_x]``; fastest where ``x.T`` is contiguous.
        y: Outputs ``[N, d_y]``, likewise.
        mean: Weight and bias of both layers of :math:`\mu`.
        log_var: Those of :math:`\log \sigma^2`, with the same dimensions.

    Returns:
        A scalar.

    Raises:
        RuntimeError: On a backward pass with ``create_graph=True``.

    Example:
        >>> x, zero = torch.ones(2, 3), torch.zeros(3)
        >>> layers = (torch.eye(3), zero, torch.eye(3), zero)
        >>> gaussian_network_loss(x, x, layers, (torch.eye(3), zero, -x.T @ x, zero))
        tensor(-1.5000)
    """
    with torch.autocast(x.device.type, enabled=False):
        loss: Tensor = _GaussianNetworkLoss.apply(x, y, *mean, *log_var)
    return loss


def club_bound(mean: Tensor, log_var: Tensor, y: Tensor) -> Tensor:
    r"""The variational CLUB bound over all :math:`N^2` pairs, in ``O(N d)``.

    .. math::
        \frac{1}{N} \sum_i \Big[ \log q(y_i | x_i) - \frac{1}{N} \sum_j \log q(y_j |
        x_i) \Big] = \frac{1}{N} \sum_{i,d} \frac{\mu_{id} (y_{id} - \bar{y}_d) -
        (y_{id}^2 - \overline{y_d^2}) / 2}{\sigma_{id}^2}

    for :math:`q(y | x_i) = \mathcal{N}(\mu_i, \mathrm{diag}\,\sigma_i^2)`. The left
    side is Cheng et al., "CLUB: A Contrastive Log-ratio Upper Bound of Mutual
    Information", ICML 2020; the sum over ``j`` needs only two moments of ``y``.

    Args:
        mean: :math:`\mu`, ``[N, d]``.
        log_var: :math:`\log \sigma^2`, ``[N, d]``.
        y: ``[N, d]``.

    Returns:
        A scalar in nats; it can be negative if ``q`` fits badly.

    Example:
        >>> y = torch.tensor([[-1.0], [1.0]])
        >>> club_bound(y, torch.zeros(2, 1), y)
        tensor(1.)
    """
    # Shifting mu and y together changes nothing and avoids cancellation.
    centre = y.mean(dim=0)
    mean, y = mean - centre, y - centre
    square = y.square()
    gain = mean * y - (square - square.mean(dim=0)) / 2
    return (gain * (-log_var).exp()).sum() / y.size(0)


def club_bound_sampled(
    mean: Tensor, log_var: Tensor, y: Tensor, permutation: Tensor
) -> Tensor:
    r"""The CLUB bound with one other sample per row instead of all.

    :math:`\frac{1}{N} \sum_i \log q(y_i | x_i) - \log q(y_{r(i)} | x_i)` (vCLUB-S of
    Cheng et al., 2020). Unbiased for :func:`club_bound` when ``permutation`` is drawn
    uniformly, fixed points included.

    Args:
        mean: :math:`\mu`, ``[N, d]``.
        log_var: :math:`\log \sigma^2`, ``[N, d]``.
        y: ``[N, d]``.
        permutation: :math:`r`, row indices ``[N]``.

    Returns:
        A scalar in nats.

    Example:
        >>> y = torch.tensor([[-1.0], [1.0]])
        >>> club_bound_sampled(y, torch.zeros(2, 1), y, torch.tensor([1, 0]))
        tensor(2.)
    """
    gain = (mean - y[permutation]).square() - (mean - y).square()
    return (gain * (-log_var).exp()).sum() / (2 * y.size(0))


class _GaussianNetworkLoss(torch.autograd.Function):
    """The loss, and its gradients from the terms of its value.

    A step of SEA's estimator on Baby's 14,100 pairs takes 5.3 ms instead of 8.1 ms by
    autograd (one CPU thread, CPU time): samples are columns, as with a handful of
    hidden units the products are then three times as fast, both first layers are one
    product, and tanh is a sigmoid, which costs a sixth.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, *weights: Tensor) -> Tensor:
        x, y = x.T, y.T
        first = torch.cat(weights[0::4]), torch.cat(weights[1::4])
        (w_mean, w_var), (b_mean, b_var) = weights[2::4], weights[3::4]
        hidden = torch.addmm(first[1].unsqueeze(1), first[0], x).relu_()
        of_mean, of_var = hidden.chunk(2)
        mean = torch.addmm(b_mean.unsqueeze(1), w_mean, of_mean)
        log_var = torch.addmm(b_var.unsqueeze(1), w_var, of_var)
        log_var = log_var.mul_(2).sigmoid_().mul_(2).sub_(1)  # tanh
        error = torch.sub(y, mean, out=mean)
        scaled = log_var.neg().exp_().mul_(error)
        square = error.mul_(scaled)
        loss = (square.sum() + log_var.sum()) / (2 * y.size(1))

        # From here the gradients of 2 N times the loss.
        slope = 1 - log_var * log_var
        to_mean, to_var = scaled.mul_(-2), slope.sub_(square.mul_(slope))
        back = torch.cat([w_mean.T @ to_mean, w_var.T @ to_var])
        back *= hidden > 0
        of_first = zip((back @ x.T).chunk(2), back.sum(1).chunk(2), strict=True)
        of_second = [
            (to_out @ h.T, to_out.sum(1))
            for to_out, h in ((to_mean, of_mean), (to_var, of_var))
        ]
        grads = [g for a, b in zip(of_first, of_second, strict=True) for g in (*a, *b)]
        ctx.save_for_backward(*(g / (2 * y.size(1)) for g in grads))
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "gaussian_network_loss has no second derivative "
                "(got a backward pass with create_graph=True)"
            )
        return None, None, *(grad * g for g in ctx.saved_tensors)
