"""LightGCN."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.functional.losses.bpr import inner_product_bpr
from mmgraph.functional.recommend.neighbor_sampling import SampledGraph
from mmgraph.functional.rows import take_rows
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.growth import BY_INTERACTIONS
from mmgraph.models.parts.regularize import embedding_penalty
from mmgraph.nn.encoder import LightGCNEncoder
from mmgraph.options import Dimension, Fidelity, LayerCount, NodeCount, NonNegativeFloat


class LightGCN(Recommender):
    r"""`"LightGCN: Simplifying and Powering Graph Convolution Network for
    Recommendation" <https://arxiv.org/abs/2002.02126>`_ (He et al., SIGIR 2020).

    .. math::
        \mathbf{E}^{(k+1)} = \mathbf{D}^{-1/2} \mathbf{A} \mathbf{D}^{-1/2}
        \mathbf{E}^{(k)}, \qquad
        \mathbf{Z} = \frac{1}{K+1} \sum_{k=0}^{K} \mathbf{E}^{(k)}

    (Eqs. 7-8), with BPR and a penalty on :math:`\mathbf{E}^{(0)}` (Eq. 15).

    Args:
        num_users: Number of users.
        num_items: Number of items.
        embedding_dim: Dimension of the embeddings.
        num_layers: Layers :math:`K` of the propagation.
        reg_weight: Weight of the penalty.
        fidelity: The penalty is half the squared norm per triple in ``"paper"``; in
            ``"released"`` it is the norm of the whole batch, not squared, by its rows.

    Example:
        >>> LightGCN(3, 5, embedding_dim=8, num_layers=2)
        LightGCN(3, 5, embedding_dim=8, num_layers=2)
    """

    fidelities = ("paper", "released")
    growth = BY_INTERACTIONS
    rescaled = ("reg_weight",)

    reads_features = False
    shown = ("embedding_dim", "num_layers")

    def __init__(
        self,
        num_users: NodeCount,
        num_items: NodeCount,
        *,
        embedding_dim: Dimension = 64,
        num_layers: LayerCount = 3,
        reg_weight: NonNegativeFloat = 1e-4,
        fidelity: Fidelity = "paper",
    ) -> None:
        super().__init__(num_users, num_items, fidelity=fidelity)
        self.num_layers, self.reg_weight = num_layers, reg_weight
        self.add_id_embeddings(embedding_dim)
        self.propagate = LightGCNEncoder(num_layers, readout="mean")
        self.reset_parameters()

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        e_0 = self.id_embeddings()
        return self.split(self.propagate(e_0, self.user_item_graph(data)))

    def sampled_layers(self) -> int:
        return self.num_layers

    def row_tables(self, *, sampled: bool) -> list[nn.Embedding]:
        return [self.user, self.item] if sampled else []

    def column_tables(self) -> list[nn.Embedding]:
        return [self.user, self.item]

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        return self._terms(batch, *batch.rows(*self.encode(data)))

    def sampled_loss(self, batch: Batch, graph: SampledGraph) -> dict[str, Tensor]:
        z = graph.power_sum(self._rows_of(graph.nodes), 1 / (self.num_layers + 1))
        z = batch.whole.joined(z)
        return self._terms(batch, *batch.own(*z.chunk(3)))

    def _terms(
        self, batch: Batch, user: Tensor, pos: Tensor, neg: Tensor
    ) -> dict[str, Tensor]:
        ego = batch.whole.rows(self.user, self.item)
        return {
            "bpr": inner_product_bpr(user, pos, neg),
            "reg": self.reg_weight * embedding_penalty(self.fidelity, *ego),
        }

    def _rows_of(self, nodes: Tensor) -> Tensor:
        """ID embeddings of some nodes, users and items mixed."""
        is_item = nodes >= self.num_users
        user, item = nodes[~is_item], nodes[is_item] - self.num_users
        place = is_item.sort(stable=True).indices.argsort()
        return take_rows(torch.cat([self.user(user), self.item(item)]), place)
