"""Smoothing over an item-item similarity graph."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mmgraph.nn.conv.weighted_sum_conv import (
    Features,
    Graph,
    WeightedSumConv,
    target_features,
)
from mmgraph.options import LayerCount


class ItemGraphConv(WeightedSumConv):
    r"""Several steps over a frozen similarity graph.

    .. math::
        \mathbf{H}^{(l)} = \mathbf{S} \mathbf{H}^{(l-1)}

    Args:
        num_layers: Number of steps; the last one is returned.

    Shapes:
        - **input:** item features :math:`(|\mathcal{I}|, F)`,
          edge indices :math:`(2, |\mathcal{E}|)` from neighbour to centre,
          edge weights :math:`(|\mathcal{E}|)` *(optional)*
        - **output:** item features :math:`(|\mathcal{I}|, F)`

    Raises:
        ValueError: If ``num_layers`` is below 0, or sources and targets are two sets.

    Example:
        >>> import torch
        >>> conv = ItemGraphConv(num_layers=2)
        >>> conv(torch.ones(2, 1), torch.tensor([[0, 1], [1, 0]]))
        tensor([[1.],
                [1.]])
    """

    def __init__(self, num_layers: LayerCount = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_layers = num_layers

    def forward(  # type: ignore[override]  # inputs of its own, as PyG's layers have
        self, x: Features, edge_index: Graph, edge_weight: Tensor | None = None
    ) -> Tensor:
        h = target_features(x)
        if isinstance(x, tuple) and h.size(0) != x[0].size(0):
            raise ValueError("sources and targets must be one set of items (got two)")
        for _ in range(self.num_layers):
            h = super().forward(h, edge_index, edge_weight)
        return h

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(num_layers={self.num_layers})"
