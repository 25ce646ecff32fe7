"""Contrastive losses over whole catalogues, without an N x N matrix."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmgraph.functional.block_sizes import CONTRAST_SCORES
from mmgraph.functional.losses.streaming import (
    GradientsMadeForward,
    check_contrast,
    contrast_rows,
    needs_gradient,
)
from mmgraph.functional.precision import at_least_float32
from mmgraph.functional.shrinking_blocks import shrinking_blocks

#: Up to so many, a sum of products is faster with each column in one piece.
_FEW_COLUMNS = 16


def solosim(
    anchor: Tensor,
    candidate: Tensor,
    temperature: float,
    block_size: int = 1024,
    *,
    normalize: bool = True,
    match: Tensor | None = None,
) -> Tensor:
    r"""One-directional contrast of matching rows against all rows.

    .. math::
        -\frac{1}{B} \sum_i \log \frac{\exp(\langle a_i, b_{m(i)} \rangle / \tau)}
        {\sum_{j=1}^{N} \exp(\langle a_i, b_j \rangle / \tau)}

    (Eq. 16 of "It is Never Too Late to Mend: Separate Learning for Multimedia
    Recommendation", 2024.) Every row of ``candidate`` is a candidate: there is no
    sampling. Rows stream in blocks and the gradient is made in the forward pass, so
    memory is ``O(N d + block_size N)``; there is no second derivative.

    Args:
        anchor: ``[B, d]``.
        candidate: ``[N, d]``.
        temperature: :math:`\tau > 0`.
        block_size: Anchors per block at most; a CPU takes as many as fit its cache.
        normalize: Scale rows to length 1 first (cosine logits); False takes raw inner
            products.
        match: Row of ``candidate`` that belongs to each anchor, ``[B]`` (default: the
            row of the same number, with as many anchors as candidates).

    Returns:
        A scalar, at least 0; :math:`\ln N` where all logits are equal. Half-precision
        input is computed in float32.

    Raises:
        ValueError: If the shapes do not fit or an option is out of range.
        RuntimeError: On a backward pass with ``create_graph=True``.

    Example:
        >>> x = torch.ones(4, 2)
        >>> solosim(x, x, temperature=0.2)
        tensor(1.3863)
    """
    _check_shapes(anchor, candidate, match)
    check_contrast(temperature, block_size)
    with torch.autocast(anchor.device.type, enabled=False):
        a, b = at_least_float32(anchor), at_least_float32(candidate)
        if normalize:
            a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
        if needs_gradient(a, b):
            loss: Tensor = _StreamingContrast.apply(
                a / temperature, b, block_size, match
            )
            return loss
        return _contrast(a / temperature, b, block_size, match, with_grad=False)[0]


def info_nce(
    x: Tensor,
    y: Tensor,
    temperature: float,
    symmetric: bool = True,
    block_size: int = 1024,
    *,
    normalize: bool = True,
) -> Tensor:
    r"""InfoNCE between two views of the same rows.

    From van den Oord et al., "Representation Learning with Contrastive Predictive
    Coding", 2018: the mean of :func:`solosim` in both directions, or ``x`` to ``y``
    alone. Repeated rows count as each other's negatives.

    Args:
        x: ``[N, d]``.
        y: ``[N, d]``; row ``i`` is the match of ``x[i]``.
        temperature: Above 0.
        symmetric: Average both directions.
        block_size: Rows per block at most, as in :func:`solosim`.
        normalize: Scale rows to length 1 first.

    Returns:
        A scalar.

    Raises:
        ValueError: As :func:`solosim`.

    Example:
        >>> x = torch.eye(3)
        >>> info_nce(x, x, temperature=0.1) < info_nce(x, x.flip(0), temperature=0.1)
        tensor(True)
    """
    loss = solosim(x, y, temperature, block_size, normalize=normalize)
    if not symmetric:
        return loss
    back = solosim(y, x, temperature, block_size, normalize=normalize)
    return (loss + back) / 2


def _check_shapes(anchor: Tensor, candidate: Tensor, match: Tensor | None) -> None:
    got = f"(got {list(anchor.shape)} and {list(candidate.shape)})"
    if match is None and anchor.shape != candidate.shape:
        raise ValueError(f"anchor and candidate must have the same shape [N, d] {got}")
    matches = anchor.dim() == candidate.dim() == 2 and anchor.size(1) == candidate.size(
        1
    )
    if not matches or anchor.size(0) == 0 or candidate.size(0) == 0:
        raise ValueError(
            f"anchor and candidate must be [B, d] and [N, d], N at least 1 {got}"
        )
    if match is not None and match.shape != anchor.shape[:1]:
        raise ValueError(
            f"'match' must name one row per anchor, {anchor.size(0)} "
            f"(got shape {list(match.shape)})"
        )


class _StreamingContrast(GradientsMadeForward):
    """Mean cross-entropy of ``a @ b.T`` to the matches, gradients made forward."""

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, b: Tensor, block_size: int, match: Tensor | None
    ) -> Tensor:
        loss, grad_a, grad_b = _contrast(a, b, block_size, match, with_grad=True)
        ctx.save_for_backward(grad_a, grad_b)
        return loss


def _zeros(b: Tensor) -> Tensor:
    """For a sum of products; few columns each in one piece, see :func:`_contrast`."""
    if b.size(1) > _FEW_COLUMNS:
        return torch.zeros_like(b)
    return b.new_zeros(b.size(1), b.size(0)).T


def _contrast(
    a: Tensor, b: Tensor, block_size: int, match: Tensor | None, *, with_grad: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    num_anchors = a.size(0)
    block_size = min(block_size, contrast_rows(b, CONTRAST_SCORES))
    loss = a.new_empty(num_anchors)
    grad_a = torch.empty_like(a) if with_grad else None
    grad_b = _zeros(b) if with_grad else None
    # The matches, as a view where they are the rows in their order.
    matched = b if match is None else F.embedding(match, b)

    def block_of(start: int, stop: int) -> tuple[slice, Tensor, Tensor, Any]:
        rows = slice(start, stop)
        logits = a[rows] @ b.T
        if match is None:
            positive = logits.diagonal(start).clone()
        else:
            positive = logits.gather(1, match[rows].unsqueeze(1)).squeeze(1)
        largest = logits.amax(dim=1, keepdim=True)
        # From here `logits` holds the un-normalised softmax; the division by its row
        # sums is left to the N x d products, which saves a pass over the block.
        softmax = logits.sub_(largest).exp_()
        total = softmax.sum(dim=1, keepdim=True)
        losses = (largest + total.log()).squeeze(1) - positive
        if not with_grad:
            return rows, losses, softmax, None
        # Transposed: to a few columns, a product with a wide matrix from the left is a
        # plain loop, with 12 times the rounding and 4 times the time.
        own = (b.T @ softmax.T).T / total - matched[rows]
        return rows, losses, softmax, (own, a[rows] / total)

    for rows, losses, softmax, grads in shrinking_blocks(
        block_of, num_anchors, block_size
    ):
        loss[rows] = losses
        if grad_a is not None and grad_b is not None:
            own, scaled = grads
            grad_a[rows] = own
            grad_b.addmm_(softmax.T, scaled)
            if match is None:
                grad_b[rows] -= a[rows]
            else:
                grad_b.index_add_(0, match[rows], a[rows], alpha=-1)
    if grad_a is not None and grad_b is not None:
        grad_a /= num_anchors
        grad_b /= num_anchors
    return loss.mean(), grad_a, grad_b
