"""One direction of a user-item graph."""

from __future__ import annotations

from torch import Tensor

from mmgraph.nn.conv.light_gcn_conv import LightGCNConv
from mmgraph.nn.conv.weighted_sum_conv import Features, Graph, WeightedSumConv


class BipartiteConv(LightGCNConv):
    r"""From the sources of a bipartite graph to its targets, say items to users.

    .. math::
        \mathbf{e}_u = \sum_{i \in \mathcal{N}(u)}
        \frac{1}{\sqrt{|\mathcal{N}_u|\,|\mathcal{N}_i|}} \mathbf{e}_i

    :class:`~mmgraph.nn.conv.LightGCNConv` for targets that need no features of their
    own. A pair of these, one per direction, equals one on the stacked graph.

    Shapes:
        - **input:** source features :math:`(|\mathcal{V}_s|, F)` and the number of
          targets, or a pair of source and target features,
          edge indices :math:`(2, |\mathcal{E}|)`,
          edge weights :math:`(|\mathcal{E}|)` *(optional, replace the formula's)*
        - **output:** target features :math:`(|\mathcal{V}_t|, F)`

    Example:
        >>> import torch
        >>> conv = BipartiteConv()
        >>> conv(torch.ones(3, 1), torch.tensor([[0, 1], [0, 0]]), num_dst=1)
        tensor([[1.4142]])
    """

    def forward(  # type: ignore[override]  # inputs of its own, as PyG's layers have
        self,
        x: Features,
        edge_index: Graph,
        num_dst: int | None = None,
        edge_weight: Tensor | None = None,
    ) -> Tensor:
        source = x if isinstance(x, Tensor) else x[0]
        size = None if num_dst is None else (source.size(0), num_dst)
        if edge_weight is not None:
            return WeightedSumConv.forward(self, x, edge_index, edge_weight, size)
        return super().forward(x, edge_index, size=size)
