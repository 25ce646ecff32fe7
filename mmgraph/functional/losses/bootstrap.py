"""A contrast without negatives."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def bootstrap_loss(online: Tensor, target: Tensor) -> Tensor:
    r"""Mean cosine distance to a target that gets no gradient.

    .. math::
        \frac{1}{B} \sum_b \big( 1 - \cos(\mathbf{x}_b, \mathrm{sg}(\mathbf{y}_b)) \big)

    The loss of Grill et al., "Bootstrap Your Own Latent", 2020 (Eq. 2), halved, as Zhou
    et al., "Bootstrap Latent Representations for Multi-modal Recommendation", 2023,
    use it.

    Args:
        online: Predictions, which are trained.
        target: Targets of the predictions; row ``b`` belongs to row ``b``.

    Shapes:
        - **input:** both :math:`(B, d)`
        - **output:** scalar in :math:`[0, 2]`

    Example:
        >>> import torch
        >>> bootstrap_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 1.0]]))
        tensor(0.2929)
    """
    return (1 - F.cosine_similarity(online, target.detach(), dim=-1)).mean()
