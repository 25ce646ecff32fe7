"""BM3."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.functional.losses.bootstrap import bootstrap_loss
from mmgraph.functional.losses.regularizers import norm_penalty
from mmgraph.functional.rows import distinct_rows, take_rows
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.growth import BY_INTERACTIONS
from mmgraph.models.parts.item_features import TrainedFeatures, encode_features
from mmgraph.models.parts.regularize import embedding_penalty
from mmgraph.nn.encoder import LightGCNEncoder
from mmgraph.nn.modality_dict import linear_maps
from mmgraph.options import (
    Dimension,
    Dims,
    DropRatio,
    Fidelity,
    LayerCount,
    NodeCount,
    NonNegativeFloat,
)


class BM3(Recommender):
    r"""`"Bootstrap Latent Representations for Multi-modal Recommendation"
    <https://arxiv.org/abs/2207.05969>`_ (Zhou et al., WWW 2023).

    .. math::
        [\mathbf{H}_U; \mathbf{H}_I] = \frac{1}{L+1} \sum_{l=0}^{L}
        \hat{\mathbf{A}}^l \mathbf{E} + [\mathbf{0}; \mathbf{E}_I], \qquad
        \mathbf{F}_m = \mathbf{X}_m \mathbf{W}_m + \mathbf{b}_m

    With one linear predictor :math:`q`, the distance
    :math:`C(x, y) = 1 - \cos(x, \mathrm{sg}(y))`, and targets
    :math:`\bar{\mathbf{x}}` that are dropout of :math:`\mathbf{x}`,

    .. math::
        L_{rec} = C(q(\mathbf{h}_u), \bar{\mathbf{h}}_i)
        + C(q(\mathbf{h}_i), \bar{\mathbf{h}}_u), \qquad
        L_m = C(q(\mathbf{f}_i^m), \bar{\mathbf{h}}_i)
        + C(q(\mathbf{f}_i^m), \bar{\mathbf{f}}_i^m)

    and :math:`L = L_{rec} + \beta \sum_m L_m + \lambda \Omega`. There are no negatives.
    Scores are :math:`\langle q(\mathbf{h}_u), q(\mathbf{h}_i) \rangle`.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Dimension of each modality's features.
        embedding_dim: Dimension of the embeddings.
        num_layers: Layers :math:`L` of the propagation.
        dropout: Fraction of a target's entries that is dropped.
        modality_weight: Weight :math:`\beta` of the modalities' terms.
        reg_weight: Weight :math:`\lambda` of the penalty. The default is the published
            0.1 in ``"released"`` and 1e-3 in ``"paper"``; the two are not comparable.
        fidelity: ``"paper"``: the raw features are frozen and :math:`\Omega` is half
            the squared norm of the batch's vectors per pair. ``"released"``: the raw
            features are trained too, from a copy, and :math:`\Omega` is the sum of the
            norms of both whole matrices, not squared, by the number of items.

    Example:
        >>> BM3(3, 5, {"visual": 16}, embedding_dim=8)
        BM3(3, 5, {'visual': 16}, embedding_dim=8, num_layers=1)
    """

    multimodal = True
    needs_negatives = False
    main_term = "rec"
    random_loss = True
    scores_read_encoders = False
    fidelities = ("paper", "released")
    growth = BY_INTERACTIONS
    rescaled = ("reg_weight",)

    shown = ("embedding_dim", "num_layers")

    def __init__(
        self,
        num_users: NodeCount,
        num_items: NodeCount,
        dims: Dims,
        *,
        embedding_dim: Dimension = 64,
        num_layers: LayerCount = 1,
        dropout: DropRatio = 0.5,
        modality_weight: NonNegativeFloat = 2.0,
        reg_weight: NonNegativeFloat | None = None,
        fidelity: Fidelity = "paper",
    ) -> None:
        super().__init__(num_users, num_items, dims, fidelity=fidelity)
        self.num_layers, self.dropout = num_layers, dropout
        self.modality_weight = modality_weight
        if reg_weight is None:
            reg_weight = 0.1 if fidelity == "released" else 1e-3
        self.reg_weight = reg_weight
        self.add_id_embeddings(embedding_dim)
        self.project = linear_maps(self.dims, embedding_dim)
        self.features = TrainedFeatures(num_items, self.dims if self.released else {})
        self.propagate = LightGCNEncoder(num_layers, readout="mean")
        self.predict = nn.Linear(embedding_dim, embedding_dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform embeddings, Xavier-normal maps, PyTorch's default biases."""
        super().reset_parameters()
        for linear in (*self.project.values(), self.predict):
            linear.reset_parameters()
            nn.init.xavier_normal_(linear.weight)

    def _encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        return encode_features(self.project, data, items, self.features)

    def encoders_reach_scores(self) -> bool:
        return self.modality_weight > 0

    def embed(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        """Users and items before the predictor."""
        e_0 = self.id_embeddings()
        h_user, h_item = self.split(self.propagate(e_0, self.user_item_graph(data)))
        return h_user, h_item + self.item.weight

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        h_user, h_item = self.embed(data)
        return self.predict(h_user), self.predict(h_item)

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        h_user, h_item = self.embed(data)
        # Each node is predicted, and has its target drawn, once per batch: what comes
        # back in it shares both, as if dropout were of whole matrices.
        users, user_place = distinct_rows(batch.whole.user, shared=True)
        items, item_place = distinct_rows(batch.whole.pos_item, shared=True)
        user_place, item_place = batch.own(user_place, item_place)
        user, item = take_rows(h_user, users), take_rows(h_item, items)
        user_target = take_rows(self.target(user), user_place)
        item_target = take_rows(self.target(item), item_place)

        q_user = take_rows(self.predict(user), user_place)
        q_item = take_rows(self.predict(item), item_place)
        rec = bootstrap_loss(q_user, item_target) + bootstrap_loss(q_item, user_target)
        terms = {"rec": rec}
        if self.modality_weight:
            for m, f in self.encode_modalities(data, items).items():
                q = take_rows(self.predict(f), item_place)
                f_target = take_rows(self.target(f), item_place)
                content = bootstrap_loss(q, item_target) + bootstrap_loss(q, f_target)
                terms[f"rec_{m}"] = self.modality_weight * content

        if self.released:
            penalty = norm_penalty(h_user, h_item)
        else:
            rows = take_rows(user, user_place), take_rows(item, item_place)
            penalty = embedding_penalty(self.fidelity, *rows)
        return terms | {"reg": self.reg_weight * penalty}

    def target(self, x: Tensor) -> Tensor:
        """The target of a prediction: dropout of ``x``, without gradient."""
        return F.dropout(x.detach(), self.dropout, self.training)
