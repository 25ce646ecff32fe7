"""From raw item features to the dimension of the embeddings."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from mmgraph.nn.wide_linear import WideLinear
from mmgraph.options import CheckedOptions, Dimension, FeatureDimension


class ModalityEncoder(CheckedOptions, nn.Module):
    r"""Two linear layers with a leaky ReLU (slope 0.01) between them.

    .. math::
        \phi(\mathbf{x}) = \mathbf{W}_2 \,
        \mathrm{LeakyReLU}(\mathbf{W}_1 \mathbf{x} + \mathbf{b}_1) + \mathbf{b}_2

    Args:
        in_channels: Dimension of the features.
        out_channels: Dimension of the embeddings.
        hidden_channels: Dimension between the layers.
        init: ``"xavier"`` (normal weights, zero biases) or ``"default"``, PyTorch's.

    Shapes:
        - **input:** :math:`(N, F_{in})`
        - **output:** :math:`(N, F_{out})`

    Raises:
        ValueError: If ``init`` is unknown.

    Example:
        >>> import torch
        >>> ModalityEncoder(8, 4, hidden_channels=6)(torch.ones(3, 8)).shape
        torch.Size([3, 4])
    """

    def __init__(
        self,
        in_channels: FeatureDimension,
        out_channels: Dimension,
        hidden_channels: Dimension = 256,
        init: Literal["xavier", "default"] = "xavier",
    ) -> None:
        super().__init__()
        self.init = init
        self.first = WideLinear(in_channels, hidden_channels)
        self.activation = nn.LeakyReLU(0.01)
        self.second = nn.Linear(hidden_channels, out_channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        for linear in (self.first, self.second):
            linear.reset_parameters()
            if self.init == "xavier":
                nn.init.xavier_normal_(linear.weight)
                nn.init.zeros_(linear.bias)

    def tail(self, hidden: Tensor) -> Tensor:
        """All after the first linear layer."""
        out: Tensor = self.second(self.activation(hidden))
        return out

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.first(x))

    def __repr__(self) -> str:
        sizes = (
            f"{self.first.in_features}, {self.second.out_features}, "
            f"hidden_channels={self.first.out_features}"
        )
        return f"ModalityEncoder({sizes})"
