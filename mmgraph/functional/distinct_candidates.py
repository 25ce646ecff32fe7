"""Repeated candidates of a softmax, each taken once."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.functional.losses.contrastive import solosim


def contrast_with_distinct(
    anchor: Tensor,
    candidate: Tensor,
    match: Tensor,
    temperature: float,
) -> Tensor:
    r"""InfoNCE of anchors against rows that occur several times, each computed once.

    .. math::
        -\frac{1}{B} \sum_b \log \frac{\exp(\langle a_b, c_{m(b)} \rangle / \tau)}
        {\sum_k n_k \exp(\langle a_b, c_k \rangle / \tau)}, \qquad
        n_k = |\{b : m(b) = k\}|

    which is :func:`~mmgraph.functional.losses.contrastive.info_nce` of ``anchor`` and
    ``candidate[match]``, one-directional and with inner products as they are. A batch
    of 2,048 interactions of Amazon Baby has 1,460 distinct items.

    Args:
        anchor: One row per pair.
        candidate: The distinct rows.
        match: Which of them belongs to each anchor.
        temperature: :math:`\tau > 0`.

    Shapes:
        - **input:** :math:`(B, d)`, :math:`(K, d)`, :math:`(B)` int64
        - **output:** a scalar

    Example:
        >>> x = torch.eye(2)
        >>> contrast_with_distinct(x[[0, 1, 1]], x, torch.tensor([0, 1, 1]), 1.0)
        tensor(0.7585)
    """
    # n exp(s) = exp(s + ln n): one more column makes it an ordinary contrast, whose
    # positive logits are ln n of the match too large.
    ones = anchor.new_ones(anchor.size(0), 1)
    count = candidate.new_zeros(candidate.size(0), 1)
    log_count = count.index_add_(0, match, ones).log()
    offset = temperature * log_count
    mean = solosim(
        torch.cat([anchor, ones], dim=1),
        torch.cat([candidate, offset], dim=1),
        temperature,
        normalize=False,
        match=match,
    )
    return mean + log_count[match].mean()
