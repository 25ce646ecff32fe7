"""The network in front of a contrastive loss."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mmgraph.options import CheckedOptions, Dimension, FeatureDimension


class ProjectionHead(CheckedOptions, nn.Module):
    r"""Three linear layers with batch norm and ReLU between, rows of length 1.

    Linear, BatchNorm, ReLU, Linear, BatchNorm, ReLU, Linear, row-wise L2. The first
    linear layer is :attr:`first` and the rest :meth:`tail`, so that a model whose
    inputs are themselves a linear map can multiply the two weights first.

    Args:
        in_channels: Dimension of the input.
        hidden_channels: Dimension inside.
        out_channels: Dimension of the output.

    Shapes:
        - **input:** :math:`(N, F_{in})`, :math:`N \ge 2` in training
        - **output:** :math:`(N, F_{out})`

    Example:
        >>> import torch
        >>> head = ProjectionHead(6, 4, 2)
        >>> head(torch.randn(5, 6)).shape
        torch.Size([5, 2])
    """

    def __init__(
        self,
        in_channels: FeatureDimension,
        hidden_channels: Dimension = 64,
        out_channels: Dimension = 32,
    ) -> None:
        super().__init__()
        self.first = nn.Linear(in_channels, hidden_channels)
        self.rest = nn.Sequential(
            nn.BatchNorm1d(hidden_channels),
            nn.ReLU(),
            nn.Linear(hidden_channels, hidden_channels),
            nn.BatchNorm1d(hidden_channels),
            nn.ReLU(),
            nn.Linear(hidden_channels, out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The whole head."""
        return self.tail(self.first(x))

    def tail(self, h: Tensor) -> Tensor:
        """All after the first linear layer, from its output ``[N, hidden]``."""
        return F.normalize(self.rest(h), dim=1)
