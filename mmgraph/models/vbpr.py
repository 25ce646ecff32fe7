"""VBPR."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.functional.losses.bpr import inner_product_bpr
from mmgraph.functional.rows import take_rows
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.growth import BY_CONTENT, fold_in_rows
from mmgraph.models.parts.item_features import encode_features
from mmgraph.models.parts.regularize import embedding_penalty
from mmgraph.nn.modality_dict import linear_maps
from mmgraph.options import Dimension, Dims, Fidelity, NodeCount, NonNegativeFloat


class VBPR(Recommender):
    r"""`"VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback"
    <https://arxiv.org/abs/1510.01784>`_ (He and McAuley, AAAI 2016), with any number
    of modalities in the place of the visual one.

    .. math::
        \hat{x}_{ui} = \beta_i + \boldsymbol{\gamma}_u^\top \boldsymbol{\gamma}_i
        + \boldsymbol{\theta}_u^\top \sum_m \mathbf{W}_m \mathbf{x}_i^m
        + \sum_m \boldsymbol{\beta}_m^\top \mathbf{x}_i^m

    (Eq. 4; what depends on the user alone cannot change a ranking and is left out).

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Dimension of each modality's features.
        embedding_dim: Dimension of :math:`\gamma` and of the projected features.
        reg_weight: Weight of the penalty on the batch's vectors.
        fidelity: ``"released"``: no :math:`\beta_i` and no :math:`\beta_m`, one bias
            for the projected features, and as penalty the norm of the whole batch, not
            squared. ``"paper"``: Eq. 4, half the squared norm per triple.

    Example:
        >>> VBPR(3, 5, {"visual": 16}, embedding_dim=8)
        VBPR(3, 5, {'visual': 16}, embedding_dim=8)
    """

    multimodal = True
    fidelities = ("paper", "released")
    growth = replace(BY_CONTENT, items=("item.weight", "item_bias.weight"))
    rescaled = ("reg_weight",)

    def __init__(
        self,
        num_users: NodeCount,
        num_items: NodeCount,
        dims: Dims,
        *,
        embedding_dim: Dimension = 64,
        reg_weight: NonNegativeFloat = 1e-4,
        fidelity: Fidelity = "paper",
    ) -> None:
        super().__init__(num_users, num_items, dims, fidelity=fidelity)
        self.reg_weight = reg_weight
        self.add_id_embeddings(embedding_dim, user_dim=2 * embedding_dim)
        self.project = linear_maps(self.dims, embedding_dim, bias=False)
        if fidelity == "released":
            self.bias = nn.Parameter(torch.empty(embedding_dim))
        else:
            self.item_bias = nn.Embedding(num_items, 1)
            self.feature_bias = linear_maps(self.dims, 1, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform embeddings, Xavier-normal maps, zero biases."""
        super().reset_parameters()
        # One map of the concatenated features: its fan-in is their total dimension.
        fan = sum(self.dims.values()) + self.embedding_dim
        for linear in self.project.values():
            nn.init.normal_(linear.weight, std=(2.0 / fan) ** 0.5)
        if self.released:
            nn.init.zeros_(self.bias)
        else:
            nn.init.zeros_(self.item_bias.weight)
            for linear in self.feature_bias.values():
                nn.init.zeros_(linear.weight)

    def _encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        return encode_features(self.project, data, items)

    def encode_items(self, data: HeteroData, items: Tensor | None = None) -> Tensor:
        """Item vectors, of all items or of the given rows only."""
        gamma = take_rows(self.item, items)
        content = torch.stack(list(self.encode_modalities(data, items).values())).sum(0)
        if self.released:
            return torch.cat([gamma, content + self.bias], dim=1)
        beta = take_rows(self.item_bias, items)
        for m, linear in self.feature_bias.items():
            beta = beta + linear(take_rows(self.item_features(data, m), items))
        return torch.cat([gamma, content, beta], dim=1)

    def encode_users(self, users: Tensor | None = None) -> Tensor:
        """User vectors; a column of ones meets the items' biases."""
        user = take_rows(self.user, users)
        if self.released:
            return user
        return torch.cat([user, user.new_ones(user.size(0), 1)], dim=1)

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        return self.encode_users(), self.encode_items(data)

    def row_tables(self, *, sampled: bool) -> list[nn.Embedding]:
        biases = [] if self.released else [self.item_bias]
        return [self.user, self.item, *biases]

    def fold_in(self, data: HeteroData, users: Tensor, items: Tensor) -> None:
        r"""New :math:`\gamma_i` from the users, then users from whole items."""
        graph, dim = self.user_item_graph(data), self.embedding_dim
        own = torch.cat([self.user.weight[:, :dim], self.item.weight])
        fold_in_rows(self.item.weight, self.split(graph.matmul(own))[1], items)
        whole = self.encode_items(data)[:, : 2 * dim]
        brought = graph.matmul(torch.cat([self.user.weight, whole]))
        fold_in_rows(self.user.weight, self.split(brought)[0], users)

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        # The released penalty is one norm over the whole batch.
        batch = batch.whole if self.released else batch
        # Only the batch's items are projected: same values and gradients.
        items, pos_place, neg_place = batch.distinct_items()
        z_item = self.encode_items(data, items)
        user = self.encode_users(batch.user)
        pos, neg = take_rows(z_item, pos_place), take_rows(z_item, neg_place)
        own = user[:, : self.user.embedding_dim]  # the ones are no parameters
        return {
            "bpr": inner_product_bpr(user, pos, neg),
            "reg": self.reg_weight * embedding_penalty(self.fidelity, own, pos, neg),
        }
