"""Alignment of whole matrices by their first two moments."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor


def moment_alignment(
    views: Sequence[Tensor], copies: Sequence[int] | None = None
) -> Tensor:
    r"""Distance of the means and variances of several views, summed over the pairs.

    .. math::
        \sum_{a < b} |\mu_a - \mu_b| + |\sigma^2_a - \sigma^2_b|

    with one mean and one unbiased variance over all entries of a view: the views are
    seen as samples of one Gaussian each. From Xu et al., "MENTOR: Multi-level
    Self-supervised Learning for Multimodal Recommendation", AAAI 2025.

    Args:
        views: Tensors of any shapes.
        copies: Number of copies of each view side by side; 1 by default. The copies
            are never made: its mean is the same and its variance has another
            divisor.

    Returns:
        A scalar.

    Raises:
        ValueError: If there are fewer than two views.

    Example:
        >>> a, b = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 1.0])
        >>> moment_alignment([a, b, b])
        tensor(4.)
    """
    if len(views) < 2:
        raise ValueError(f"an alignment needs at least two views (got {len(views)})")
    if copies is None:
        copies = [1] * len(views)
    # c times n entries less one, over c times the sum of squares: n less 1 / c.
    moments = torch.stack(
        [
            torch.stack([x.mean(), x.var(correction=1 / c)])
            for x, c in zip(views, copies, strict=True)
        ]
    )
    pairs = combinations(moments, 2)
    return torch.stack([(a - b).abs().sum() for a, b in pairs]).sum()
