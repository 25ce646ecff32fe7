"""LightGCN's propagation step."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.nn.conv.weighted_sum_conv import Graph, WeightedSumConv


class LightGCNConv(WeightedSumConv):
    r"""The step of `"LightGCN: Simplifying and Powering Graph Convolution Network for
    Recommendation" <https://arxiv.org/abs/2002.02126>`_ (Eq. 3).

    .. math::
        \mathbf{e}^{(k+1)}_i = \sum_{j \in \mathcal{N}(i)}
        \frac{1}{\sqrt{|\mathcal{N}_i|\,|\mathcal{N}_j|}} \mathbf{e}^{(k)}_j

    Args:
        normalize: Compute these weights from ``edge_index`` at every call. A prepared
            ``Adjacency`` already holds its weights and is used as it is.

    Shapes:
        - **input:** node features :math:`(|\mathcal{V}|, F)`,
          edge indices :math:`(2, |\mathcal{E}|)`,
          edge weights :math:`(|\mathcal{E}|)` *(optional)*
        - **output:** node features :math:`(|\mathcal{V}|, F)`

    Example:
        >>> import torch
        >>> conv = LightGCNConv()
        >>> conv(torch.ones(2, 1), torch.tensor([[0, 1], [1, 0]]))
        tensor([[1.],
                [1.]])
    """

    def __init__(self, normalize: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.normalize = normalize

    def forward(  # type: ignore[override]
        self, x: Tensor, edge_index: Graph, edge_weight: Tensor | None = None
    ) -> Tensor:
        if self.normalize and not isinstance(edge_index, Adjacency):
            edge_index, edge_weight = gcn_norm(
                edge_index,
                edge_weight,
                x.size(0),
                add_self_loops=False,
                flow=self.flow,
                dtype=x.dtype,
            )
        return super().forward(x, edge_index, edge_weight)
