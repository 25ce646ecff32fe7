"""One direction of a user-item graph."""

from __future__ import annotations

from torch import Tensor

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.normalize import symmetric_norm
from mmgraph.nn.conv.weighted_sum_conv import Graph, WeightedSumConv


class BipartiteConv(WeightedSumConv):
    r"""From the sources of a bipartite graph to its targets, say items to users.

    .. math::
        \mathbf{e}_u = \sum_{i \in \mathcal{N}(u)}
        \frac{1}{\sqrt{|\mathcal{N}_u|\,|\mathcal{N}_i|}} \mathbf{e}_i

    A pair of these, one per direction, equals
    :class:`~mmgraph.nn.conv.LightGCNConv` on the stacked graph.

    Shapes:
        - **input:** source features :math:`(|\mathcal{V}_s|, F)`,
          edge indices :math:`(2, |\mathcal{E}|)`, number of targets,
          edge weights :math:`(|\mathcal{E}|)` *(optional, replace the formula's)*
        - **output:** target features :math:`(|\mathcal{V}_t|, F)`

    Example:
        >>> import torch
        >>> conv = BipartiteConv()
        >>> conv(torch.ones(3, 1), torch.tensor([[0, 1], [0, 0]]), num_dst=1)
        tensor([[1.4142]])
    """

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        edge_index: Graph,
        num_dst: int,
        edge_weight: Tensor | None = None,
    ) -> Tensor:
        if isinstance(edge_index, Adjacency):
            return super().forward(x, edge_index)
        if edge_weight is None:
            edge_weight = symmetric_norm(edge_index, x.size(0), num_dst).to(x.dtype)
        return super().forward(x, edge_index, edge_weight, size=(x.size(0), num_dst))
