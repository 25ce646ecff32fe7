"""LightGCN steps with noise after each, as an augmentation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmgraph.nn.conv import LightGCNConv
from mmgraph.nn.conv.weighted_sum_conv import Graph
from mmgraph.options import CheckedOptions, LayerCount, NonNegativeFloat


class PerturbedEncoder(CheckedOptions, nn.Module):
    r"""Propagation whose every step is pushed a little way off, at random.

    .. math::
        \mathbf{X}^{(l)} = \mathbf{Y} + \epsilon\, \mathrm{sign}(\mathbf{Y}) \odot
        \mathrm{norm}(\mathbf{R}), \qquad
        \mathbf{Y} = \hat{\mathbf{A}} \mathbf{X}^{(l-1)}, \qquad
        \mathbf{R} \sim U(0, 1)

    summed over :math:`l = 0..L`, with row-wise :math:`L_2` normalisation of the noise.
    It never leaves the orthant of what it is added to. The augmentation of Yu et al.,
    "Are Graph Augmentations Necessary? Simple Graph Contrastive Learning for
    Recommendation", SIGIR 2022. Without noise in evaluation mode.

    Args:
        num_layers: :math:`L`.
        scale: :math:`\epsilon`.

    Shapes:
        - **input:** node features :math:`(|\mathcal{V}|, F)`, a graph
        - **output:** node features :math:`(|\mathcal{V}|, F)`

    Raises:
        ValueError: If ``num_layers`` or ``scale`` is below 0.

    Example:
        >>> encoder = PerturbedEncoder(num_layers=1, scale=0.1)
        >>> out = encoder(torch.ones(2, 4), torch.tensor([[0, 1], [1, 0]]))
        >>> (out - 2).norm(dim=1)
        tensor([0.1000, 0.1000])
    """

    def __init__(self, num_layers: LayerCount, scale: NonNegativeFloat = 0.1) -> None:
        super().__init__()
        self.num_layers, self.scale = num_layers, scale
        self.conv = LightGCNConv()

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        total = x
        for _ in range(self.num_layers):
            x = self.conv(x, graph)
            if self.training:
                noise = F.normalize(torch.rand_like(x), eps=1e-12)
                x = x + self.scale * x.sign() * noise
            total = total + x
        return total

    def __repr__(self) -> str:
        return f"PerturbedEncoder(num_layers={self.num_layers}, scale={self.scale})"
