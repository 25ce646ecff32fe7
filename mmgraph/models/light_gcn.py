"""LightGCN."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.functional.losses.bpr import bpr_loss
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.regularize import embedding_penalty
from mmgraph.nn.encoder import LightGCNEncoder


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
        embedding_dim: Width of the embeddings.
        num_layers: :math:`K`.
        reg_weight: Weight of the penalty.
        fidelity: The penalty is half the squared norm per triple in ``"paper"``; in
            ``"released"`` it is the norm of the whole batch, not squared, by its rows.

    Example:
        >>> LightGCN(3, 5, embedding_dim=8, num_layers=2)
        LightGCN(3, 5, embedding_dim=8, num_layers=2)
    """

    fidelities = ("paper", "released")

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        embedding_dim: int = 64,
        num_layers: int = 3,
        reg_weight: float = 1e-4,
        fidelity: str = "paper",
    ) -> None:
        super().__init__()
        self.reg_weight, self.fidelity = reg_weight, self.check_fidelity(fidelity)
        self.user = nn.Embedding(num_users, embedding_dim)
        self.item = nn.Embedding(num_items, embedding_dim)
        self.propagate = LightGCNEncoder(num_layers, readout="mean")
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform, each table by itself."""
        nn.init.xavier_uniform_(self.user.weight)
        nn.init.xavier_uniform_(self.item.weight)

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        e_0 = torch.cat([self.user.weight, self.item.weight])
        z = self.propagate(e_0, self.user_item_graph(data))
        z_user, z_item = z.split([self.user.num_embeddings, self.item.num_embeddings])
        return z_user, z_item

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        z_user, z_item = self.encode(data)
        user, pos, neg = batch.rows(z_user, z_item)
        ego = batch.rows(self.user.weight, self.item.weight)
        return {
            "bpr": bpr_loss((user * pos).sum(-1), (user * neg).sum(-1)),
            "reg": self.reg_weight * embedding_penalty(self.fidelity, *ego),
        }

    def __repr__(self) -> str:
        users, dim = self.user.weight.shape
        return (
            f"LightGCN({users}, {self.item.num_embeddings}, embedding_dim={dim}, "
            f"num_layers={self.propagate.num_layers})"
        )
