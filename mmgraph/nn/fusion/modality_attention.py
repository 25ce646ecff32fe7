"""Weights of the modalities of each node, by attention."""

from __future__ import annotations

from torch import Tensor, nn

from mmgraph.functional.attention_fusion import attention_fusion
from mmgraph.options import CheckedOptions, Dimension


class ModalityAttention(CheckedOptions, nn.Module):
    r"""Sum of the modalities, weighted per node by one shared query.

    .. math::
        q(\mathbf{h}) = \mathbf{w}_2^\top \tanh(\mathbf{W}_1 \mathbf{h} + \mathbf{b}),
        \qquad
        \beta_m = \mathrm{softmax}_m \, q(\mathbf{h}_m), \qquad
        \mathbf{h} = \sum_m \beta_m \mathbf{h}_m

    The fusion of MICRO (Zhang et al., "Latent Structure Mining with Contrastive
    Modality Fusion for Multimedia Recommendation", 2022) and MGCN (Yu et al.,
    "Multi-View Graph Convolutional Network for Multimedia Recommendation", 2023).

    Args:
        channels: Dimension of the embeddings.

    Shapes:
        - **input:** one tensor :math:`(N, d)` per modality
        - **output:** :math:`(N, d)`

    Example:
        >>> import torch
        >>> fusion = ModalityAttention(channels=4)
        >>> fusion([torch.ones(3, 4), torch.ones(3, 4)]).shape
        torch.Size([3, 4])
    """

    def __init__(self, channels: Dimension) -> None:
        super().__init__()
        self.first = nn.Linear(channels, channels)
        self.second = nn.Linear(channels, 1, bias=False)

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        self.first.reset_parameters()
        self.second.reset_parameters()

    def forward(self, views: list[Tensor]) -> Tensor:
        query = self.second.weight.squeeze(0)
        return attention_fusion(views, self.first.weight, self.first.bias, query)

    def __repr__(self) -> str:
        return f"ModalityAttention({self.first.in_features})"
