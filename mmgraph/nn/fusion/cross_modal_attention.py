"""Attention of a node's modalities over one another."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmgraph.errors import UserError
from mmgraph.options import CheckedOptions, Dimension, PositiveInt


class CrossModalAttention(CheckedOptions, nn.Module):
    r"""Multi-head attention of a node's modalities over one another, averaged.

    .. math::
        \beta^h_{m m'} = \mathrm{softmax}_{m'}
        \frac{\langle \mathbf{x}_m \mathbf{W}^h_Q,\, \mathbf{x}_{m'} \mathbf{W}^h_K
        \rangle}{\sqrt{d / H}}, \qquad
        \mathbf{x} = \frac{1}{M} \sum_m \Big( \big\Vert_{h=1}^{H}
        \sum_{m'} \beta^h_{m m'} \mathbf{x}_{m'} \Big) \mathbf{W}_O

    The values are the embeddings themselves, whole for each head. From Wei et al.,
    "Multi-Modal Self-Supervised Learning for Recommendation", WWW 2023.

    Args:
        channels: Dimension :math:`d` of the embeddings.
        num_heads: :math:`H`, a divisor of it.

    Shapes:
        - **input:** one tensor :math:`(N, d)` per modality
        - **output:** :math:`(N, d)`

    Raises:
        ValueError: If ``num_heads`` does not divide ``channels``.

    Example:
        >>> fusion = CrossModalAttention(channels=4, num_heads=2)
        >>> fusion([torch.ones(3, 4), torch.ones(3, 4)]).shape
        torch.Size([3, 4])
    """

    def __init__(self, channels: Dimension, num_heads: PositiveInt = 4) -> None:
        super().__init__()
        if num_heads < 1 or channels % num_heads:
            raise UserError(
                f"'num_heads' must divide the dimension {channels} (got {num_heads})",
                "choose a divisor of it",
                owner="",
            )
        self.num_heads = num_heads
        self.query = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(channels, channels, bias=False)
        self.combine = nn.Linear(num_heads * channels, channels, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform maps."""
        for linear in (self.query, self.key, self.combine):
            nn.init.xavier_uniform_(linear.weight)

    def forward(self, views: list[Tensor]) -> Tensor:
        x = torch.stack(views, dim=1)  # [N, M, d]
        query, key = self._heads(self.query(x)), self._heads(self.key(x))
        scale = query.size(-1) ** -0.5
        beta = (scale * query @ key.transpose(-1, -2)).softmax(dim=-1)  # [N, H, M, M]
        # The map is linear, so the mean over m may come before it.
        heads = beta.mean(dim=2) @ x  # [N, H, d]
        out: Tensor = self.combine(heads.flatten(1))
        return out

    def _heads(self, x: Tensor) -> Tensor:
        """``[N, M, d]`` as ``[N, H, M, d / H]``."""
        heads: Tensor = x.unflatten(-1, (self.num_heads, -1))
        return heads.transpose(1, 2)

    def __repr__(self) -> str:
        return (
            f"CrossModalAttention({self.query.in_features}, num_heads={self.num_heads})"
        )
