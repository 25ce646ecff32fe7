"""Rows of interactions made soft, so that they resemble rows of scores."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.gumbel import gumbel_softmax


def relaxed_interactions(
    seen: Adjacency, noise_scale: float, scores: Tensor, score_weight: float
) -> Tensor:
    r"""Interactions blurred by noise, and scores as a hint of what is missing in them.

    .. math::
        \boldsymbol{\rho}_u = \mathrm{norm}\big( \mathrm{softmax}(\mathbf{R}_u
        + c\, \mathbf{g}) + \zeta\, \mathbf{p}_u \big), \qquad
        g = -\ln e,\; e \sim \mathrm{Exp}(1)

    From Wei et al., "Multi-Modal Self-Supervised Learning for Recommendation", WWW
    2023: what a critic may take for real beside the scores that a model generates.

    Args:
        seen: Items of each user, the rows :math:`\mathbf{R}_u`.
        noise_scale: :math:`c > 0`.
        scores: :math:`\mathbf{p}_u` of each user.
        score_weight: :math:`\zeta`.

    Shapes:
        - **scores:** :math:`(B, I)`
        - **output:** :math:`(B, I)`, rows of length 1

    Raises:
        ValueError: If ``noise_scale`` is not above 0.

    Example:
        >>> import torch
        >>> seen = Adjacency.from_edge_index(
        ...     torch.tensor([[2], [0]]), num_src=3, num_dst=1
        ... )
        >>> rows = relaxed_interactions(seen, 1e-3, torch.zeros(1, 3), score_weight=1.0)
        >>> rows.argmax().item(), round(rows.norm().item(), 4)
        (2, 1.0)
    """
    if not noise_scale > 0:
        raise ValueError(f"'noise_scale' must be above 0 (got {noise_scale})")
    logits = scores.new_zeros(scores.shape)
    logits[seen.row().long(), seen.col.long()] = 1.0 / noise_scale
    soft = gumbel_softmax(logits, 1.0 / noise_scale)
    return F.normalize(soft + score_weight * scores, dim=1)
