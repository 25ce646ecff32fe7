"""Contrast of two views within and across them, without an N x N matrix."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmgraph.functional.block_sizes import GRACE_SCORES
from mmgraph.functional.losses.streaming import (
    GradientsMadeForward,
    check_contrast,
    contrast_rows,
    needs_gradient,
)
from mmgraph.functional.precision import at_least_float32
from mmgraph.functional.shrinking_blocks import shrinking_blocks


def grace(x: Tensor, y: Tensor, temperature: float, block_size: int = 1024) -> Tensor:
    r"""Contrast of ``x`` with ``y``, other rows of both views being the negatives.

    .. math::
        -\frac{1}{N} \sum_b \log \frac{e^{s(x_b, y_b)}}
        {\sum_c e^{s(x_b, y_c)} + \sum_{c \neq b} e^{s(x_b, x_c)}}, \qquad
        s(a, b) = \cos(a, b) / \tau

    (Eq. 1 of Zhu et al., "Deep Graph Contrastive Representation Learning", 2020, in one
    direction and without its projection.) Rows stream in blocks and the gradient is
    made in the forward pass, so memory is ``O(N d + block_size N)``; there is no second
    derivative.

    Args:
        x: Anchors.
        y: The other view; row ``b`` is the match of ``x[b]``.
        temperature: :math:`\tau > 0`.
        block_size: Anchors per block at most; a CPU takes as many as fit its cache.

    Shapes:
        - **input:** :math:`(N, d)` twice, :math:`N \ge 1`
        - **output:** a scalar; :math:`\ln(2N - 1)` where all cosines are equal

    Raises:
        ValueError: If the shapes differ or an option is out of range.
        RuntimeError: On a backward pass with ``create_graph=True``.

    Example:
        >>> x = torch.ones(4, 2)
        >>> grace(x, x, temperature=0.5)
        tensor(1.9459)
    """
    if x.dim() != 2 or x.shape != y.shape or x.size(0) == 0:
        raise ValueError(
            "x and y must have the same shape [N, d], N at least 1 "
            f"(got {list(x.shape)} and {list(y.shape)})"
        )
    check_contrast(temperature, block_size)
    with torch.autocast(x.device.type, enabled=False):
        x, y = at_least_float32(x), at_least_float32(y)
        # Both rows carry the root: each product is then divided by the temperature.
        root = temperature**-0.5
        a, b = root * F.normalize(x, dim=1), root * F.normalize(y, dim=1)
        if needs_gradient(a, b):
            loss: Tensor = _StreamingGrace.apply(a, b, block_size)
            return loss
        return _grace(a, b, block_size, with_grad=False)[0]


class _StreamingGrace(GradientsMadeForward):
    """The loss of scaled unit rows, gradients made forward."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, block_size: int) -> Tensor:
        loss, grad_a, grad_b = _grace(a, b, block_size, with_grad=True)
        ctx.save_for_backward(grad_a, grad_b)
        return loss


def _grace(
    a: Tensor, b: Tensor, block_size: int, *, with_grad: bool
) -> tuple[Tensor, Tensor, Tensor]:
    num_rows = a.size(0)
    block_size = min(block_size, contrast_rows(b, GRACE_SCORES))
    loss = a.new_empty(num_rows)
    grad_a, grad_b = torch.zeros_like(a), torch.zeros_like(b)

    def block_of(start: int, stop: int) -> tuple[slice, Tensor, Tensor, Tensor, Any]:
        rows = slice(start, stop)
        anchor = a[rows]
        across, within = anchor @ b.T, anchor @ a.T
        positive = across.diagonal(start).clone()
        within.diagonal(start).fill_(float("-inf"))
        largest = torch.maximum(
            across.amax(dim=1, keepdim=True), within.amax(dim=1, keepdim=True)
        )
        # From here both blocks hold the softmax before its division by the row sums.
        across.sub_(largest).exp_()
        within.sub_(largest).exp_()
        total = across.sum(dim=1, keepdim=True) + within.sum(dim=1, keepdim=True)
        losses = (largest + total.log()).squeeze(1) - positive
        if not with_grad:
            return rows, losses, across, within, None
        own = (across @ b + within @ a) / total - b[rows]
        return rows, losses, across, within, (own, anchor / total)

    for rows, losses, across, within, grads in shrinking_blocks(
        block_of, num_rows, block_size
    ):
        loss[rows] = losses
        if grads is not None:
            own, scaled = grads
            grad_a[rows] += own
            grad_a.addmm_(within.T, scaled)
            grad_b.addmm_(across.T, scaled)
            grad_b[rows] -= a[rows]
    return loss.mean(), grad_a.div_(num_rows), grad_b.div_(num_rows)
