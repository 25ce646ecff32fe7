"""MENTOR."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from mmgraph.functional.losses.bootstrap import bootstrap_loss
from mmgraph.functional.losses.bpr import inner_product_bpr
from mmgraph.functional.losses.contrastive import solosim
from mmgraph.functional.losses.moments import moment_alignment
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.growth import BY_PREFERENCES
from mmgraph.models.parts.item_features import encode_features
from mmgraph.models.parts.item_graph import fused_item_graph
from mmgraph.models.parts.last_step import LastStepEmbeddings
from mmgraph.nn.encoder import (
    ModalityEncoder,
    ModalityGraphEncoder,
    MultimodalGCN,
    PerturbedEncoder,
)
from mmgraph.nn.modality_dict import ModalityDict
from mmgraph.options import (
    Dimension,
    Dims,
    DropRatio,
    Fidelity,
    Fraction,
    LayerCount,
    ModalityWeights,
    NodeCount,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
)

#: Users and items of one modality.
View = tuple[Tensor, Tensor]


class MENTOR(Recommender):
    r"""`"MENTOR: Multi-level Self-supervised Learning for Multimodal Recommendation"
    <https://arxiv.org/abs/2402.19407>`_ (Xu et al., AAAI 2025).

    .. math::
        \mathbf{H}_m = \sum_{l=0}^{L} \hat{\mathbf{A}}^l
        \mathrm{norm}([\mathbf{P}_m; \mathrm{MLP}_m(\mathbf{X}_m)]), \qquad
        \mathbf{z}_u = \Vert_m\, w_{u,m} \mathbf{H}_m[u], \qquad
        \mathbf{z}_i = (\mathbf{I} + \mathbf{S}) (\Vert_m\, \mathbf{H}_m)[i]

    Three tasks of self-supervision stand beside BPR. The fused view, each modality
    alone and a guide, which is :math:`\mathbf{H}` of ID embeddings, are aligned as
    Gaussians; two views whose propagation is perturbed recognise each other among all
    nodes; and a linear map :math:`q` predicts masked embeddings:

    .. math::
        L_{align} = \sum_{a<b} |\mu_a - \mu_b| + |\sigma_a^2 - \sigma_b^2|, \qquad
        L_{perturb} = L_{NCE}(\mathbf{Z}'_U, \mathbf{Z}''_U)
        + L_{NCE}(\mathbf{Z}'_I, \mathbf{Z}''_I)

    .. math::
        L_{mask} = \sum_{\mathbf{z} \in \{\mathbf{Z}_U, \mathbf{Z}_I\}}
        1 - \cos(q(\mathbf{z}), \mathrm{drop}(\mathrm{sg}(\mathbf{z}))), \qquad
        \Omega = \sum_m \mathrm{mean}(\mathbf{P}_m[u]^2) + \mathrm{mean}(w^2)

    .. math::
        L = L_{BPR} + \lambda_r \Omega + \lambda_a L_{align} + \lambda_f L_{mask}
        + \lambda_g L_{perturb}

    :math:`\mathbf{S}` is the frozen item graph of FREEDOM. A modality alone and the
    guide are repeated to the dimension of the fused view; there users have no weights.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Dimension of each modality's features.
        embedding_dim: Dimension of each modality's embeddings.
        hidden_dim: Dimension between the two layers of each MLP.
        num_layers: Layers :math:`L` of the propagation.
        num_item_layers: Steps over the item graph.
        k: Neighbours per item in that graph, itself included.
        visual_weight: Weight of the visual graph, see
            :func:`~mmgraph.models.parts.item_graph.modality_weights`.
        modality_weights: Weight of each modality instead.
        moment_weight: Weight :math:`\lambda_a` of the alignment of moments.
        mask_weight: Weight :math:`\lambda_f` of the prediction of masked entries.
        mask_rate: Fraction of an embedding's entries that is masked.
        perturb_weight: Weight :math:`\lambda_g` of the perturbed views' contrast. At 0
            nothing is perturbed, which is most of the work.
        perturb_scale: Length of the noise after each step of the propagation.
        contrast_temperature: Temperature of the contrast.
        reg_weight: Weight :math:`\lambda_r` of the penalty.
        fidelity: ``"paper"``: the perturbed views are of the model's own embeddings and
            the mask trains them. ``"released"`` is the public code with its accidents:
            each perturbed view has preferences and MLPs of its own, never used for a
            score, so that the contrast reaches the model through :math:`w` alone;
            :math:`L_{mask}` is a constant without gradient and :math:`q` stays as it
            was drawn; BPR has base 2; and scores are those of the last training step's
            forward pass, one step old.

    Example:
        >>> MENTOR(3, 5, {"visual": 16}, embedding_dim=8)
        MENTOR(3, 5, {'visual': 16}, embedding_dim=8, num_layers=2)
    """

    lr = 1e-4
    former_names = (
        ("propagate.", "gcn.propagate."),
        ("fuse_users.", "gcn.fuse_users."),
    )
    multimodal = True
    random_loss = True
    fidelities = ("paper", "released")
    growth = BY_PREFERENCES

    shown = ("embedding_dim", "num_layers")

    def __init__(
        self,
        num_users: NodeCount,
        num_items: NodeCount,
        dims: Dims,
        *,
        embedding_dim: Dimension = 64,
        hidden_dim: Dimension = 256,
        num_layers: LayerCount = 2,
        num_item_layers: LayerCount = 1,
        k: PositiveInt = 10,
        visual_weight: Fraction = 0.1,
        modality_weights: ModalityWeights | None = None,
        moment_weight: NonNegativeFloat = 0.1,
        mask_weight: NonNegativeFloat = 1.5,
        mask_rate: DropRatio = 0.5,
        perturb_weight: NonNegativeFloat = 1e-3,
        perturb_scale: NonNegativeFloat = 0.1,
        contrast_temperature: PositiveFloat = 0.2,
        reg_weight: NonNegativeFloat = 1e-3,
        fidelity: Fidelity = "paper",
    ) -> None:
        super().__init__(num_users, num_items, dims, fidelity=fidelity)
        self.embedding_dim, self.num_layers = embedding_dim, num_layers
        self.moment_weight, self.mask_weight = moment_weight, mask_weight
        self.perturb_weight, self.reg_weight = perturb_weight, reg_weight
        self.mask_rate, self.contrast_temperature = mask_rate, contrast_temperature
        self.graph_transform = fused_item_graph(
            list(self.dims), k, modality_weights, visual_weight
        )

        def encoders(dims: dict[str, int]) -> ModalityDict[ModalityEncoder]:
            maps = {
                m: ModalityEncoder(dim, embedding_dim, hidden_dim, init="default")
                for m, dim in dims.items()
            }
            return ModalityDict(maps)

        def tower(modalities: list[str]) -> ModalityGraphEncoder:
            return ModalityGraphEncoder(
                num_users, modalities, embedding_dim, num_layers
            )

        self.encoders = encoders(self.dims)
        self.gcn = MultimodalGCN(
            num_users, list(self.dims), embedding_dim, num_layers, num_item_layers
        )
        released, out = fidelity == "released", embedding_dim * len(self.dims)
        if moment_weight:
            self.item = nn.Embedding(num_items, embedding_dim)
            self.item_encoder = encoders({"id": embedding_dim})
            self.propagate_item = tower(["id"])
            nn.init.xavier_normal_(self.item.weight)
        if mask_weight:
            self.predict = nn.Linear(out, out).requires_grad_(not released)
        if perturb_weight:
            self.perturb = PerturbedEncoder(num_layers, perturb_scale)
            names = ("first", "second") if released else ()
            self.other_encoders = ModalityDict({v: encoders(self.dims) for v in names})
            self.other_towers = ModalityDict({v: tower(list(self.dims)) for v in names})
        self.last_step: LastStepEmbeddings | None = None
        if released:
            self.last_step = LastStepEmbeddings(num_users, num_items, out)

    def item_graph_transform(self) -> BaseTransform:
        return self.graph_transform

    def _encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        return encode_features(self.encoders, data, items)

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        if self.last_step is not None and (stale := self.last_step.embeddings()):
            return stale
        z = self.encode_modalities(data)
        return self.fuse(data, self.gcn.propagate(z, self.user_item_graph(data)))

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        z = self.encode_modalities(data)
        h = self.gcn.propagate(z, self.user_item_graph(data))
        z_user, z_item = self.fuse(data, h)
        user, pos, neg = batch.rows(z_user, z_item)
        base = 2 if self.released else "e"
        bpr = inner_product_bpr(user, pos, neg, base=base)
        terms = {"bpr": bpr, "reg": self.reg_weight * self.gcn.penalty(batch.user)}
        if self.moment_weight:
            aligned = self.moment_loss(data, h, torch.cat([z_user, z_item]))
            terms["moments"] = self.moment_weight * aligned
        if self.mask_weight:
            masked = self.mask_loss(z_user) + self.mask_loss(z_item)
            terms["mask"] = self.mask_weight * masked
        if self.perturb_weight:
            views = self.perturbed_views(data, z)
            contrasts = [solosim(x, y, self.contrast_temperature) for x, y in views]
            terms["perturb"] = self.perturb_weight * torch.stack(contrasts).sum()
        if self.last_step is not None:
            self.last_step.keep(z_user, z_item)
        return terms

    def fuse(self, data: HeteroData, h: dict[str, View]) -> View:
        """Users weighted, items smoothed."""
        z_user, z_item = self.gcn.fuse(h, self.item_graph(data))
        return z_user, z_item

    def moment_loss(
        self, data: HeteroData, h: dict[str, View], fused: Tensor
    ) -> Tensor:
        """Alignment of the fused view, the guide and each modality."""
        ids = self.item_encoder["id"](self.item.weight)
        guide = self.propagate_item({"id": ids}, self.user_item_graph(data))["id"]
        item_graph = self.item_graph(data)
        alone = [
            torch.cat([h_user, self.gcn.smooth(h_item, item_graph)])
            for h_user, h_item in (guide, *h.values())
        ]
        copies = [1] + [len(h)] * len(alone)
        return moment_alignment([fused, *alone], copies)

    def mask_loss(self, z: Tensor) -> Tensor:
        """Masked entries, predicted from all; a constant in the public code."""
        online = z.detach() if self.released else z
        masked = F.dropout(z.detach(), self.mask_rate, self.training)
        return bootstrap_loss(self.predict(online), masked)

    def perturbed_views(self, data: HeteroData, z: dict[str, Tensor]) -> list[View]:
        """Two views of all users, and two of all items."""
        sources = [(z, self.gcn.propagate)] * 2
        if self.released:
            features = self.feature_view(data)
            sources = [
                (encode_features(encoders, features), self.other_towers[view])
                for view, encoders in self.other_encoders.items()
            ]
        graph = self.user_item_graph(data)
        views = [self.fuse(data, tower(z, graph, self.perturb)) for z, tower in sources]
        return list(zip(*views, strict=True))
