"""A loss that pushes two representations apart."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mmgraph.nn.losses.rows import check_rows
from mmgraph.options import CheckedOptions


class NegativeDistanceLoss(CheckedOptions, nn.Module):
    r"""Negative mean squared distance, :math:`-\mathrm{mean}\,(x - y)^2`.

    Eq. 30 of "It is Never Too Late to Mend: Separate Learning for Multimedia
    Recommendation", 2024, in the form of the mean over all entries. It is unbounded
    below wherever the scale of the inputs can grow: keep its weight small, or
    normalise.

    Args:
        normalize: Scale rows to length 1 first; the value then lies in ``[-4/d, 0]``.

    Shapes:
        - **input:** two tensors :math:`(N, d)`
        - **output:** scalar, at most 0

    Raises:
        UserError: If the batch is empty.

    Example:
        >>> import torch
        >>> NegativeDistanceLoss()(torch.zeros(2, 3), torch.full((2, 3), 2.0))
        tensor(-4.)
    """

    def __init__(self, *, normalize: bool = False) -> None:
        super().__init__()
        self.normalize = normalize

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Negative distance of matching rows."""
        check_rows(x, "NegativeDistanceLoss")
        if self.normalize:
            x, y = F.normalize(x, dim=1), F.normalize(y, dim=1)
        return -F.mse_loss(x, y)
