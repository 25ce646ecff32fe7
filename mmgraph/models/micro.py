"""MICRO."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.functional.losses.grace import grace
from mmgraph.models.batch import Batch
from mmgraph.models.parts.graph_learner import Edges, GraphLearner
from mmgraph.nn.fusion import ModalityAttention
from mmgraph.options import Dims, NodeCount, NonNegativeFloat, PositiveFloat


class MICRO(GraphLearner):
    r"""`"Latent Structure Mining with Contrastive Modality Fusion for Multimedia
    Recommendation" <https://arxiv.org/abs/2111.00678>`_ (Zhang et al., IEEE TKDE 2022).

    As :class:`~mmgraph.models.lattice.LATTICE`, but each modality keeps its own graph.
    Their views are fused by attention, and the fused view is contrasted with each of
    them over all items:

    .. math::
        \mathbf{H}_m = \mathbf{S}_m^{n} \mathbf{E}_I, \qquad
        \beta_m = \mathrm{softmax}_m\,
        \mathbf{w}_2^\top \tanh(\mathbf{W}_1 \mathbf{h}_m + \mathbf{b}), \qquad
        \mathbf{h} = \sum_m \beta_m \mathbf{h}_m

    .. math::
        \hat{y}_{ui} = \Big\langle \mathbf{z}_u,
        \mathbf{z}_i + \frac{\mathbf{h}_i}{\|\mathbf{h}_i\|} \Big\rangle, \qquad
        L = L_{BPR} + \lambda_r \|\cdot\|^2
        + \gamma \sum_m L_{GRACE}(\mathbf{H}_m, \mathbf{H}; \tau)

    with :math:`\mathbf{S}_m` of
    :class:`~mmgraph.models.parts.graph_learner.GraphLearner` and
    :func:`~mmgraph.functional.grace`. The learning rate falls by the factor 0.96
    each 50 epochs (``lr_decay``). With a single modality the fused view is that
    modality's, and the attention rests.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Dimension of each modality's features.
        embedding_dim: Dimension of the embeddings.
        num_layers: Steps over the user-item graph.
        num_item_layers: :math:`n`.
        k: Neighbours per item, itself included.
        raw_weight: Weight :math:`\lambda` of the raw features' graph in
            :math:`\mathbf{S}_m`.
        contrast_weight: Weight :math:`\gamma` of the contrast.
        contrast_temperature: Temperature :math:`\tau` of the contrast.
        reg_weight: :math:`\lambda_r`, of half the squares per triple.
        fidelity: ``"released"``: row-normalised user-item graph with self-loops,
            trained raw features, a penalty divided by 2048 also in a shorter batch, and
            gradients of zeros where the graphs are not rebuilt, all as in
            :class:`~mmgraph.models.lattice.LATTICE`.

    Example:
        >>> MICRO(3, 5, {"visual": 16}, embedding_dim=8)
        MICRO(3, 5, {'visual': 16}, embedding_dim=8, num_layers=2)
    """

    def __init__(
        self,
        num_users: NodeCount,
        num_items: NodeCount,
        dims: Dims,
        *,
        contrast_weight: NonNegativeFloat = 0.03,
        contrast_temperature: PositiveFloat = 0.5,
        **options: Any,
    ) -> None:
        super().__init__(num_users, num_items, dims, **options)
        self.contrast_weight = contrast_weight
        self.contrast_temperature = contrast_temperature

    def add_fusion(self, embedding_dim: int) -> None:
        self.fuse = ModalityAttention(embedding_dim)

    def reset_parameters(self) -> None:
        """As the other graph learners; PyTorch's default for the attention."""
        super().reset_parameters()
        self.fuse.reset_parameters()

    def item_graphs(self, data: HeteroData) -> list[Edges]:
        return list(self.modality_graphs(data).values())

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        return self.embeddings(data, self.fuse(self.smooth_items(data)))

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        views = self.smooth_items(data)
        h = self.fuse(views)
        z_user, z_item = self.embeddings(data, h)
        terms = self.ranking_terms(z_user, z_item, batch)
        if self.contrast_weight:
            contrast = [grace(view, h, self.contrast_temperature) for view in views]
            terms["contrast"] = self.contrast_weight * torch.stack(contrast).sum()
        return terms
