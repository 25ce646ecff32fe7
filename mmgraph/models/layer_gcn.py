"""LayerGCN."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.prune import prune_edges
from mmgraph.functional.losses.bpr import bpr_loss
from mmgraph.functional.losses.regularizers import half_square_sum_penalty
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.growth import BY_INTERACTIONS
from mmgraph.nn.conv import LayerRefinedConv
from mmgraph.options import (
    Dimension,
    DropRatio,
    NodeCount,
    NonNegativeFloat,
    PositiveLayerCount,
)
from mmgraph.schema import INTERACTS


class LayerGCN(Recommender):
    r"""`"Layer-refined Graph Convolutional Networks for Recommendation"
    <https://arxiv.org/abs/2207.11088>`_ (Zhou et al., ICDE 2023).

    .. math::
        \mathbf{Y}^{(l)} = \hat{\mathbf{A}}_\rho \mathbf{X}^{(l-1)}, \qquad
        \mathbf{x}_v^{(l)} = \cos\!\big(\mathbf{y}_v^{(l)}, \mathbf{x}_v^{(0)}\big)\,
        \mathbf{y}_v^{(l)}, \qquad
        \mathbf{Z} = \sum_{l=1}^{L} \mathbf{X}^{(l)}

    .. math::
        L = \sum_{(u,i,j)} -\ln \sigma(\mathbf{z}_u^\top \mathbf{z}_i
        - \mathbf{z}_u^\top \mathbf{z}_j) + \frac{\lambda}{2} \sum_{(u,i,j)}
        \big\| [\mathbf{x}_u^{(0)}, \mathbf{x}_i^{(0)}, \mathbf{x}_j^{(0)}] \big\|^2

    The first layer is left out of the sum. The loss of a batch is a sum over its
    triples, not a mean, so :math:`\lambda` compares with that of the other systems
    after a division by the size of the batch.

    :math:`\hat{\mathbf{A}}_\rho` is drawn anew each epoch: it keeps the ratio
    :math:`1-\rho` of the edges and is normalised by what is left. Evaluation uses all
    edges. Paper and public code agree but for a small constant that the paper adds to
    each cosine; there is none here, so ``"paper"`` is the only fidelity.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        embedding_dim: Dimension of the embeddings.
        num_layers: Layers :math:`L` of the propagation.
        edge_drop: Fraction :math:`\rho` of the edges left out in each epoch.
        edge_drop_by: ``"degree"``: edges survive with probability proportional to
            :math:`1/\sqrt{d_u d_i}`; ``"uniform"``; or ``"mixed"``: the first by
            degree, the second uniformly, and so on in turn.
        reg_weight: Weight :math:`\lambda` of the penalty.

    Example:
        >>> LayerGCN(3, 5, embedding_dim=8)
        LayerGCN(3, 5, embedding_dim=8, num_layers=4)
    """

    random_loss = True
    growth = BY_INTERACTIONS
    reads_features = False
    shown = ("embedding_dim", "num_layers")

    def __init__(
        self,
        num_users: NodeCount,
        num_items: NodeCount,
        *,
        embedding_dim: Dimension = 64,
        num_layers: PositiveLayerCount = 4,
        edge_drop: DropRatio = 0.1,
        edge_drop_by: Literal["mixed", "degree", "uniform"] = "mixed",
        reg_weight: NonNegativeFloat = 1e-3,
    ) -> None:
        super().__init__(num_users, num_items)
        self.num_layers, self.reg_weight = num_layers, reg_weight
        self.edge_drop, self.edge_drop_by = edge_drop, edge_drop_by
        self.add_id_embeddings(embedding_dim)
        self.conv = LayerRefinedConv()
        self.pruned_graph: Adjacency | None = None
        self.reset_parameters()

    def on_epoch_start(
        self, data: HeteroData, epoch: int, generator: torch.Generator
    ) -> None:
        if self.edge_drop:
            by = self.edge_drop_by
            if by == "mixed":
                by = "degree" if epoch % 2 else "uniform"
            edge_index = data[INTERACTS].edge_index
            kept = prune_edges(edge_index, self.edge_drop, by=by, generator=generator)
            self.pruned_graph = Adjacency.user_item(
                edge_index[:, kept], self.num_users, self.num_items
            )

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        pruned = self.pruned_graph if self.training else None
        graph = self.user_item_graph(data) if pruned is None else pruned
        x = x_0 = self.id_embeddings()
        z = torch.zeros_like(x_0)
        for _ in range(self.num_layers):
            x = self.conv(x, x_0, graph)
            z = z + x
        return self.split(z)

    def summed_terms(self) -> tuple[str, ...]:
        return "bpr", "reg"

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        z_user, z_item = self.encode(data)
        user, pos, neg = batch.rows(z_user, z_item)
        margin = (user * pos).sum(-1), (user * neg).sum(-1)
        ego = batch.rows(self.user.weight, self.item.weight)
        return {
            "bpr": bpr_loss(*margin, reduction="sum"),
            "reg": self.reg_weight * half_square_sum_penalty(*ego),
        }
