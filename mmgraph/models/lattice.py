"""LATTICE."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.functional.graph.normalize import row_sum_norm
from mmgraph.models.batch import Batch
from mmgraph.models.parts.graph_learner import Edges, GraphLearner, weighted_union


class LATTICE(GraphLearner):
    r"""`"Mining Latent Structures for Multimedia Recommendation"
    <https://arxiv.org/abs/2104.09036>`_ (Zhang et al., ACM MM 2021).

    Items are similar as their raw features have it and as their projected features
    learn it, in one graph over all modalities:

    .. math::
        \mathbf{F}_m = \mathbf{X}_m \mathbf{W}_m + \mathbf{b}_m, \qquad
        \mathbf{S}_m = (1 - \lambda)\, \mathrm{norm}(\mathrm{kNN}(\mathbf{F}_m))
        + \lambda\, \mathrm{norm}(\mathrm{kNN}(\mathbf{X}_m)), \qquad
        \mathbf{S} = \sum_m \mathrm{softmax}(\mathbf{a})_m \mathbf{S}_m

    .. math::
        \mathbf{H} = \mathbf{S}^{n} \mathbf{E}_I, \qquad
        [\mathbf{Z}_U; \mathbf{Z}_I] = \frac{1}{L+1} \sum_{l=0}^{L}
        \hat{\mathbf{A}}^l \mathbf{E}, \qquad
        \hat{y}_{ui} = \Big\langle \mathbf{z}_u,
        \mathbf{z}_i + \frac{\mathbf{h}_i}{\|\mathbf{h}_i\|} \Big\rangle

    with BPR and a penalty on the batch's final vectors. The graph is rebuilt once per
    epoch, see :class:`~mmgraph.models.parts.graph_learner.GraphLearner`, so that
    :math:`\mathbf{W}_m` and :math:`\mathbf{a}` have a gradient in its first batch
    alone. The learning rate falls by the factor 0.96 each 50 epochs (``lr_decay``).

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Dimension of each modality's features.
        embedding_dim: Dimension of the embeddings.
        num_layers: :math:`L`.
        num_item_layers: :math:`n`.
        k: Neighbours per item, itself included.
        raw_weight: :math:`\lambda`. At 1 only :math:`\mathbf{a}` is learned.
        reg_weight: Weight of half the squares of the batch's vectors, per triple.
        fidelity: ``"paper"``: as above, :math:`\hat{\mathbf{A}}` being symmetric; the
            graph's parameters make one step per epoch. ``"released"`` is the public
            code: :math:`\hat{\mathbf{A}} = (\mathbf{D} + \mathbf{I})^{-1} (\mathbf{A}
            + \mathbf{I})`; the learned graphs are normalised after their weighted sum;
            the raw features are trained too, from a copy; the penalty is divided by
            2048 also in a shorter batch; and where the graph is not rebuilt its
            parameters have a gradient of zeros, not none, as they had at the time, so
            that Adam's momentum moves them on.

    Example:
        >>> LATTICE(3, 5, {"visual": 16}, embedding_dim=8)
        LATTICE(3, 5, {'visual': 16}, embedding_dim=8, num_layers=2)
    """

    def add_fusion(self, embedding_dim: int) -> None:
        self.modality_logits = nn.Parameter(torch.empty(len(self.dims)))

    def reset_parameters(self) -> None:
        """As the other graph learners; all modalities weigh the same."""
        super().reset_parameters()
        nn.init.constant_(self.modality_logits, 1.0 / len(self.dims))

    def graph_parameters(self) -> list[nn.Parameter]:
        return [self.modality_logits, *super().graph_parameters()]

    def item_graphs(self, data: HeteroData) -> list[Edges]:
        alpha = self.modality_logits.softmax(dim=0)
        if not self.released:
            return [weighted_union(list(self.modality_graphs(data).values()), alpha)]
        near, cosine = weighted_union(list(self.similar_items(data).values()), alpha)
        learned = near, row_sum_norm(near, cosine, self.num_items)
        raw = weighted_union([self.raw_edges(data, m) for m in self.dims], alpha)
        return [weighted_union([learned, raw], [1 - self.raw_weight, self.raw_weight])]

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        (h,) = self.smooth_items(data)
        return self.embeddings(data, h)

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        z_user, z_item = self.encode(data)
        return self.ranking_terms(z_user, z_item, batch)
