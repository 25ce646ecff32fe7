"""LayerGCN's refined propagation step."""

from __future__ import annotations

from torch import Tensor

from mmgraph.functional.graph.cosine_refine import cosine_refine
from mmgraph.nn.conv.light_gcn_conv import LightGCNConv
from mmgraph.nn.conv.weighted_sum_conv import Features, Graph, target_features


class LayerRefinedConv(LightGCNConv):
    r"""The step of "Layer-refined Graph Convolutional Networks for Recommendation"
    (Zhou et al., ICDE 2023): what a layer brings is weighted by how much it agrees
    with the node's own embedding.

    .. math::
        \mathbf{Y} = \hat{\mathbf{A}} \mathbf{X}^{(l-1)}, \qquad
        \mathbf{x}^{(l)}_i = \cos(\mathbf{y}_i, \mathbf{x}^{(0)}_i)\, \mathbf{y}_i

    Shapes:
        - **input:** node features :math:`(|\mathcal{V}|, F)`, first-layer features
          :math:`(|\mathcal{V}|, F)`, or pairs of them for a bipartite graph,
          edge indices :math:`(2, |\mathcal{E}|)`,
          edge weights :math:`(|\mathcal{E}|)` *(optional)*
        - **output:** node features :math:`(|\mathcal{V}|, F)`

    Example:
        >>> import torch
        >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> LayerRefinedConv()(x, x, torch.tensor([[0, 1], [1, 0]]))
        tensor([[0., 0.],
                [0., 0.]])
    """

    def forward(  # type: ignore[override]  # inputs of its own, as PyG's layers have
        self,
        x: Features,
        x_0: Features,
        edge_index: Graph,
        edge_weight: Tensor | None = None,
    ) -> Tensor:
        y = super().forward(x, edge_index, edge_weight)
        return cosine_refine(y, target_features(x_0))
