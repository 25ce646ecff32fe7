"""Pairwise ranking loss."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor


def bpr_loss(
    pos: Tensor, neg: Tensor, *, reduction: str = "mean", base: str | int = "e"
) -> Tensor:
    r"""Bayesian personalised ranking loss :math:`-\log \sigma(\hat{y}_p - \hat{y}_n)`.

    From Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback",
    UAI 2009. Exact for any difference: no epsilon inside the logarithm.

    Args:
        pos: Scores of positives, any shape.
        neg: Scores of negatives, broadcastable to it.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        base: Of the logarithm, ``"e"`` or 2 (which weighs the loss 1.4427 times).

    Returns:
        A scalar, or one loss per pair.

    Raises:
        ValueError: If ``reduction`` or ``base`` is unknown.

    Example:
        >>> import torch
        >>> bpr_loss(torch.zeros(3), torch.zeros(3), base=2)
        tensor(1.)
    """
    loss = F.softplus(neg - pos)
    if base not in ("e", 2):
        raise ValueError(f"'base' must be 'e' or 2 (got {base!r})")
    if base == 2:
        loss = loss / math.log(2)
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(f"'reduction' must be 'mean', 'sum' or 'none' (got {reduction!r})")


def inner_product_bpr(
    user: Tensor, pos: Tensor, neg: Tensor, base: str | int = "e"
) -> Tensor:
    r"""BPR of triples that are scored by inner products.

    Args:
        user: Users' embeddings ``[B, d]``.
        pos: Embeddings of the items they interacted with ``[B, d]``.
        neg: Embeddings of the sampled items ``[B, d]``.
        base: See :func:`bpr_loss`.

    Example:
        >>> import torch
        >>> one = torch.ones(1, 2)
        >>> inner_product_bpr(one, one, one)
        tensor(0.6931)
    """
    return bpr_loss((user * pos).sum(-1), (user * neg).sum(-1), base=base)
