"""Parts of the losses over all pairs of rows: blocks, and gradients made forward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmgraph.functional.block_sizes import (
    WIDE_CONTRAST_ROWS,
    WIDE_CONTRAST_SCORES,
    BlockSize,
)


class GradientsMadeForward(torch.autograd.Function):
    """A loss whose forward saves the gradients of its first two inputs.

    Subclasses write ``forward(ctx, a, b, ...)``. There is no second derivative.
    """

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        # Grad mode is on here only under create_graph=True. `once_differentiable` would
        # let a wrong second derivative pass where `grad` itself needs no gradient.
        if torch.is_grad_enabled():
            raise RuntimeError(
                "this contrast has no second derivative "
                "(got a backward pass with create_graph=True)"
            )
        grad_a, grad_b = ctx.saved_tensors
        others = [None] * (len(ctx.needs_input_grad) - 2)
        return grad * grad_a, grad * grad_b, *others


def contrast_rows(candidates: Tensor, in_cache: BlockSize) -> int:
    """Anchors whose similarities with all candidates are held at a time.

    Args:
        candidates: ``[N, d]``.
        in_cache: Similarities that stay in a core's cache.

    Returns:
        At least 32; on a GPU there is no limit.

    Example:
        >>> from mmgraph.functional.block_sizes import CONTRAST_SCORES
        >>> [contrast_rows(torch.ones(8192, d), CONTRAST_SCORES) for d in (32, 64)]
        [64, 256]
    """
    num_candidates, dim = candidates.shape
    rows = in_cache.rows(num_candidates, candidates.device, least=32)
    if dim < 64:
        return rows
    wide = WIDE_CONTRAST_SCORES.rows(num_candidates, candidates.device)
    return max(rows, min(wide, WIDE_CONTRAST_ROWS))


def check_contrast(temperature: float, block_size: int) -> None:
    """Refuse a temperature or a block size that is out of range.

    Raises:
        ValueError: If the temperature is not above 0, or the block size below 1.

    Example:
        >>> check_contrast(temperature=0.2, block_size=1024)
    """
    if not temperature > 0:
        raise ValueError(f"'temperature' must be above 0 (got {temperature})")
    if block_size < 1:
        raise ValueError(f"'block_size' must be at least 1 (got {block_size})")


def needs_gradient(a: Tensor, b: Tensor) -> bool:
    """True if a gradient is asked of one of the two.

    Example:
        >>> needs_gradient(torch.ones(1), torch.ones(1, requires_grad=True))
        True
    """
    return torch.is_grad_enabled() and (a.requires_grad or b.requires_grad)
