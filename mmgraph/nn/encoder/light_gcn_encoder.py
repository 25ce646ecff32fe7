"""Several LightGCN steps and how their outputs are read."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.nn.conv import LightGCNConv
from mmgraph.nn.conv.weighted_sum_conv import Graph
from mmgraph.options import CheckedOptions, LayerCount

Readout = Literal["mean", "sum", "last"]


class LightGCNEncoder(CheckedOptions, nn.Module):
    r"""Propagation over the stacked user-item graph.

    .. math::
        \mathbf{X}^{(l)} = \hat{\mathbf{A}} \mathbf{X}^{(l-1)}, \quad l = 1..L

    read as the mean or the sum of :math:`\mathbf{X}^{(0)}, ..., \mathbf{X}^{(L)}`, or
    as :math:`\mathbf{X}^{(L)}` alone.

    Args:
        num_layers: :math:`L`.
        readout: ``"mean"``, ``"sum"`` or ``"last"``.

    Shapes:
        - **input:** node features :math:`(|\mathcal{V}|, F)`, a graph
        - **output:** node features :math:`(|\mathcal{V}|, F)`

    Raises:
        ValueError: If ``num_layers`` is below 0 or ``readout`` unknown.

    Example:
        >>> import torch
        >>> encoder = LightGCNEncoder(num_layers=1, readout="sum")
        >>> encoder(torch.ones(2, 1), torch.tensor([[0, 1], [1, 0]]))
        tensor([[2.],
                [2.]])
    """

    def __init__(self, num_layers: LayerCount, readout: Readout = "mean") -> None:
        super().__init__()
        self.num_layers, self.readout = num_layers, readout
        self.conv = LightGCNConv()

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        scale = 1.0 / (self.num_layers + 1) if self.readout == "mean" else 1.0
        if isinstance(graph, Adjacency) and self.readout != "last":
            return graph.power_sum(x, self.num_layers, scale)
        total = x
        for _ in range(self.num_layers):
            x = self.conv(x, graph)
            total = total + x
        return x if self.readout == "last" else total * scale

    def __repr__(self) -> str:
        return (
            f"LightGCNEncoder(num_layers={self.num_layers}, readout={self.readout!r})"
        )
