"""MMGCN's layer."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.normalize import mean_norm
from mmgraph.functional.rows import take_rows
from mmgraph.nn.conv.weighted_sum_conv import (
    Features,
    Graph,
    WeightedSumConv,
    edge_list,
    target_features,
)
from mmgraph.options import Dimension, FeatureDimension


class MMGCNConv(WeightedSumConv):
    r"""The layer of "MMGCN: Multi-modal Graph Convolution Network for Personalized
    Recommendation of Micro-video" (Wei et al., ACM MM 2019): the mean of the neighbours
    meets the node's own features, to which an embedding that all modalities and layers
    share is added.

    .. math::
        \mathbf{h}_v = \phi\Big(\mathbf{W}\, \frac{1}{|\mathcal{N}_v|}
        \sum_{w \in \mathcal{N}(v)} \mathbf{x}_w\Big), \qquad
        \hat{\mathbf{x}}_v = \phi(\mathbf{L} \mathbf{x}_v + \mathbf{b}_1)
        + \mathbf{e}_v

    .. math::
        \mathbf{x}'_v = \phi(\mathbf{G} [\mathbf{h}_v \Vert \hat{\mathbf{x}}_v]
        + \mathbf{b}_2) \quad \text{or} \quad
        \mathbf{x}'_v = \phi(\mathbf{G} \mathbf{h}_v + \mathbf{b}_2
        + \hat{\mathbf{x}}_v)

    with :math:`\phi` the leaky ReLU of slope 0.01.

    Args:
        in_channels: Dimension of the features.
        out_channels: Dimension of the output and of :math:`\mathbf{e}`.
        combine: ``"concat"`` (the first form) or ``"sum"`` (the second).

    Shapes:
        - **input:** node features :math:`(|\mathcal{V}|, F_{in})`, shared embeddings
          :math:`(|\mathcal{V}|, F_{out})`, or pairs of them for a bipartite graph,
          edge indices :math:`(2, |\mathcal{E}|)`,
          edge weights :math:`(|\mathcal{E}|)` *(optional, replace those of the mean)*
        - **output:** node features :math:`(|\mathcal{V}|, F_{out})`

    Raises:
        ValueError: If ``combine`` is unknown.

    Example:
        >>> import torch
        >>> conv = MMGCNConv(8, 4)
        >>> edge_index = torch.tensor([[0, 1], [1, 0]])
        >>> conv(torch.ones(2, 8), torch.ones(2, 4), edge_index).shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        in_channels: FeatureDimension,
        out_channels: Dimension,
        combine: Literal["concat", "sum"] = "concat",
    ) -> None:
        super().__init__()
        self.combine = combine
        self.lin_neighbors = nn.Linear(in_channels, in_channels, bias=False)
        self.lin_self = nn.Linear(in_channels, out_channels)
        joint = in_channels + (out_channels if combine == "concat" else 0)
        self.lin_out = nn.Linear(joint, out_channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-normal maps of the features, PyTorch's default for the rest."""
        super().reset_parameters()
        for linear in (self.lin_neighbors, self.lin_self, self.lin_out):
            linear.reset_parameters()
        nn.init.xavier_normal_(self.lin_neighbors.weight)
        nn.init.xavier_normal_(self.lin_self.weight)

    def forward(  # type: ignore[override]  # inputs of its own, as PyG's layers have
        self,
        x: Features,
        shared: Features,
        edge_index: Graph,
        edge_weight: Tensor | None = None,
        targets: Tensor | None = None,
    ) -> Tensor:
        """The output of all targets, or of the given rows of them."""
        target = target_features(x)
        if edge_weight is None and not isinstance(edge_index, Adjacency):
            edge_index, _ = edge_list(edge_index)
            edge_weight = mean_norm(edge_index, target.size(0)).to(target.dtype)
        own, shared = take_rows(target, targets), target_features(shared)
        shared = take_rows(shared, targets)
        source = x if isinstance(x, Tensor) else x[0]
        if source.size(0) < own.size(0):
            # W (A x) = A (W x): the map is applied where there are fewer rows.
            mapped = (self.lin_neighbors(source), target)
            neighbors = super().forward(mapped, edge_index, edge_weight)
            neighbors = take_rows(neighbors, targets)
        else:
            mean = super().forward(x, edge_index, edge_weight)
            neighbors = self.lin_neighbors(take_rows(mean, targets))
        return self.join(own, neighbors, shared)

    def update_nodes(self, x: Tensor, mean: Tensor, shared: Tensor) -> Tensor:
        """The output, from the features and the mean of the neighbours' features."""
        return self.join(x, self.lin_neighbors(mean), shared)

    def join(self, x: Tensor, neighbors: Tensor, shared: Tensor) -> Tensor:
        """The output, from the features and the mapped mean of the neighbours'."""
        h = F.leaky_relu(neighbors)
        own = F.leaky_relu(self.lin_self(x)) + shared
        if self.combine == "sum":
            return F.leaky_relu(self.lin_out(h) + own)
        # G [h || own] by its two halves, without a copy of both.
        of_h, of_own = self.lin_out.weight.split([h.size(1), own.size(1)], dim=1)
        out = F.linear(own, of_own, self.lin_out.bias).addmm(h, of_h.t())
        return F.leaky_relu(out)

    def __repr__(self) -> str:
        return (
            f"MMGCNConv({self.lin_self.in_features}, {self.lin_self.out_features}, "
            f"combine={self.combine!r})"
        )
