"""LightGCN's propagation step."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.normalize import symmetric_norm
from mmgraph.nn.conv.weighted_sum_conv import (
    Features,
    Graph,
    WeightedSumConv,
    edge_list,
)


class LightGCNConv(WeightedSumConv):
    r"""The step of `"LightGCN: Simplifying and Powering Graph Convolution Network for
    Recommendation" <https://arxiv.org/abs/2002.02126>`_ (Eq. 3).

    .. math::
        \mathbf{e}^{(k+1)}_i = \sum_{j \in \mathcal{N}(i)}
        \frac{1}{\sqrt{|\mathcal{N}_i|\,|\mathcal{N}_j|}} \mathbf{e}^{(k)}_j

    In a bipartite graph, as in ``HeteroConv``, :math:`\mathcal{N}_j` are the targets of
    source :math:`j`.

    Args:
        normalize: Compute these weights from ``edge_index`` at every call. A prepared
            ``Adjacency`` already holds its weights and is used as it is.

    Shapes:
        - **input:** node features :math:`(|\mathcal{V}|, F)`, or a pair of source and
          target features for a bipartite graph,
          edge indices :math:`(2, |\mathcal{E}|)`,
          edge weights :math:`(|\mathcal{E}|)` *(optional)*
        - **output:** node features :math:`(|\mathcal{V}_t|, F)`

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

    def forward(
        self,
        x: Features,
        edge_index: Graph,
        edge_weight: Tensor | None = None,
        size: tuple[int, int] | None = None,
    ) -> Tensor:
        if isinstance(edge_index, Adjacency) or not self.normalize:
            return super().forward(x, edge_index, edge_weight, size)
        if isinstance(x, Tensor) and size is None:
            normalized = gcn_norm(
                edge_index,
                edge_weight,
                x.size(0),
                add_self_loops=False,
                flow=self.flow,
                dtype=x.dtype,
            )
            if not isinstance(normalized, tuple):  # a SparseTensor holds its weights
                return super().forward(x, normalized)
            edge_index, edge_weight = normalized
            return super().forward(x, edge_index, edge_weight)
        size = _sizes(x) if size is None else size
        edges, weight = edge_list(edge_index, edge_weight)
        weight = symmetric_norm(edges, *size, weight)
        weight = weight.to(x.dtype if isinstance(x, Tensor) else x[0].dtype)
        return super().forward(x, edges, weight, size)


def _sizes(x: Features) -> tuple[int, int]:
    """Numbers of sources and targets of a bipartite graph."""
    if isinstance(x, Tensor) or x[1] is None:
        raise ValueError("'size' is needed where the targets have no features")
    return x[0].size(0), x[1].size(0)
