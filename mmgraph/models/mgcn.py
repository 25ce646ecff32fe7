"""MGCN."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from mmgraph.functional.checks import check_above_zero
from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.normalize import symmetric_norm
from mmgraph.functional.losses.bpr import bpr_loss
from mmgraph.functional.losses.contrastive import solosim
from mmgraph.functional.losses.regularizers import half_square_penalty
from mmgraph.functional.rows import take_rows
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.item_features import TrainedFeatures, encode_features
from mmgraph.models.parts.item_graph import similarity_graphs
from mmgraph.nn.conv import BipartiteConv, ItemGraphConv
from mmgraph.nn.encoder import LightGCNEncoder
from mmgraph.nn.fusion import ModalityAttention
from mmgraph.nn.modality_dict import ModalityDict
from mmgraph.schema import INTERACTS, EdgeType, similar_edge_type


class MGCN(Recommender):
    r"""`"Multi-View Graph Convolutional Network for Multimedia Recommendation"
    <https://arxiv.org/abs/2308.03588>`_ (Yu et al., ACM MM 2023).

    Behaviour purifies the features, which then spread over the item graph of their
    modality and to the users:

    .. math::
        \mathbf{C} = \frac{1}{L+1} \sum_{l=0}^{L} \hat{\mathbf{A}}^l \mathbf{E}, \qquad
        \mathbf{M}_m^I = \mathbf{S}_m^{L_i} \big( \mathbf{E}_I \odot
        \sigma(g_m(\mathbf{X}_m \mathbf{W}_m + \mathbf{b}_m)) \big), \qquad
        \mathbf{M}_m^U = \hat{\mathbf{R}} \mathbf{M}_m^I

    What modalities share is fused by attention, what is specific is chosen by behaviour
    (:math:`g_m` and :math:`\pi_m` are linear):

    .. math::
        \mathbf{K} = \sum_m \beta_m \mathbf{M}_m, \qquad
        \mathbf{\Delta}_m = \sigma(\pi_m(\mathbf{C})) \odot (\mathbf{M}_m - \mathbf{K}),
        \qquad
        \mathbf{B} = \mathbf{K} + \frac{1}{|M|} \sum_m \mathbf{\Delta}_m, \qquad
        \mathbf{Z} = \mathbf{C} + \mathbf{B}

    .. math::
        L = L_{BPR}(\mathbf{Z}) + \lambda \|\mathbf{Z}_{batch}\|^2
        + \gamma \big( L_{NCE}(\mathbf{B}_I, \mathbf{C}_I)
        + L_{NCE}(\mathbf{B}_U, \mathbf{C}_U) \big)

    The contrast is within the batch, from :math:`\mathbf{B}` to :math:`\mathbf{C}`. The
    item graphs hold the :math:`k` nearest items by cosine of the raw features. The
    step size falls by the factor 0.96 each 50 epochs (``lr_decay``). A single
    modality has nothing specific, so its :math:`\pi_m` and the attention rest.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Width of each modality's features.
        embedding_dim: Width of the embeddings.
        num_layers: :math:`L`.
        num_item_layers: :math:`L_i`.
        k: Neighbours per item, itself included.
        contrast_weight: :math:`\gamma`.
        contrast_temperature: Temperature of the contrast.
        reg_weight: :math:`\lambda`, of half the squares per triple.
        fidelity: ``"released"``: :math:`\mathbf{B} = (\mathbf{K} + \sum_m
            \mathbf{\Delta}_m) / (|M| + 1)`; the raw features are trained too, from a
            copy; the penalty is divided by 2048 also in a shorter batch.

    Example:
        >>> MGCN(3, 5, {"visual": 16}, embedding_dim=8)
        MGCN(3, 5, {'visual': 16}, embedding_dim=8, num_layers=2)
    """

    multimodal = True
    lr_decay = 0.96
    fidelities = ("paper", "released")

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dims: dict[str, int],
        *,
        embedding_dim: int = 64,
        num_layers: int = 2,
        num_item_layers: int = 1,
        k: int = 10,
        contrast_weight: float = 0.01,
        contrast_temperature: float = 0.2,
        reg_weight: float = 1e-4,
        fidelity: str = "paper",
    ) -> None:
        super().__init__()
        check_above_zero(contrast_temperature=contrast_temperature)
        self.dims, self.fidelity = dims, self.check_fidelity(fidelity)
        self.k, self.contrast_temperature = k, contrast_temperature
        self.contrast_weight, self.reg_weight = contrast_weight, reg_weight
        self.user = nn.Embedding(num_users, embedding_dim)
        self.item = nn.Embedding(num_items, embedding_dim)
        self.project = ModalityDict(
            {m: nn.Linear(dim, embedding_dim) for m, dim in dims.items()}
        )
        self.purify, self.prefer = (
            ModalityDict({m: nn.Linear(embedding_dim, embedding_dim) for m in dims})
            for _ in range(2)
        )
        trained = dims if fidelity == "released" else {}
        self.features = TrainedFeatures(num_items, trained)
        self.propagate = LightGCNEncoder(num_layers, readout="mean")
        self.smooth = ItemGraphConv(num_item_layers)
        self.lift = BipartiteConv()
        self.fuse = ModalityAttention(embedding_dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform tables, PyTorch's default for the maps."""
        nn.init.xavier_uniform_(self.user.weight)
        nn.init.xavier_uniform_(self.item.weight)
        for maps in (self.project, self.purify, self.prefer):
            for linear in maps.values():
                linear.reset_parameters()
        self.fuse.reset_parameters()

    def item_graph_transform(self) -> BaseTransform:
        return similarity_graphs(list(self.dims), self.k)

    def item_graph_types(self) -> list[EdgeType]:
        return [similar_edge_type(m) for m in self.dims]

    def encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        return encode_features(self.project, data, items, self.features)

    def modality_widths(self) -> dict[str, int]:
        return dict.fromkeys(self.dims, self.item.embedding_dim)

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        behaviour, content = self.views(data)
        z_user, z_item = self.split(behaviour + content)
        return z_user, z_item

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        behaviour, content = self.views(data)
        user, pos, neg = batch.rows(*self.split(behaviour + content))
        size = 2048 if self.fidelity == "released" else len(user)
        penalty = half_square_penalty(user, pos, neg, batch_size=size)
        terms = {
            "bpr": bpr_loss((user * pos).sum(-1), (user * neg).sum(-1)),
            "reg": self.reg_weight * penalty,
        }
        if self.contrast_weight:
            ids = (batch.user, batch.pos_item)
            pairs = zip(self.split(content), self.split(behaviour), ids, strict=True)
            contrast = [
                solosim(
                    take_rows(b, rows), take_rows(c, rows), self.contrast_temperature
                )
                for b, c, rows in pairs
            ]
            terms["contrast"] = self.contrast_weight * torch.stack(contrast).sum()
        return terms

    def views(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        r"""All nodes by behaviour :math:`\mathbf{C}` and content :math:`\mathbf{B}`."""
        e_0 = torch.cat([self.user.weight, self.item.weight])
        c = self.propagate(e_0, self.user_item_graph(data))

        f = self.item_modalities(data)
        views = []
        for m, gate in self.purify.items():
            item = self.item.weight * gate(f[m]).sigmoid()
            item = self.smooth(item, self.item_graph(data, similar_edge_type(m)))
            user = self.lift(item, self.item_user_graph(data), len(self.user.weight))
            views.append(torch.cat([user, item]))

        common = self.fuse(views)
        gates = [prefer(c).sigmoid() for prefer in self.prefer.values()]
        specific = [
            gate * (view - common) for gate, view in zip(gates, views, strict=True)
        ]
        total = torch.stack(specific).sum(dim=0)
        if self.fidelity == "released":
            return c, (common + total) / (len(views) + 1)
        return c, common + total / len(views)

    def split(self, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """Users and items."""
        user, item = nodes.split([self.user.num_embeddings, self.item.num_embeddings])
        return user, item

    def item_user_graph(self, data: HeteroData) -> Adjacency:
        r"""The symmetrically normalised graph :math:`\hat{\mathbf{R}}` to the users."""
        edge_index = data[INTERACTS].edge_index
        users, items = self.user.num_embeddings, self.item.num_embeddings

        def build() -> Adjacency:
            to_user = edge_index.flip(0)
            weight = symmetric_norm(to_user, items, users)
            return Adjacency.from_edge_index(
                to_user, weight, num_src=items, num_dst=users
            )

        return self.derive("item-user", (edge_index,), build)

    def __repr__(self) -> str:
        return (
            f"MGCN({self.user.num_embeddings}, {self.item.num_embeddings}, "
            f"{self.dims}, embedding_dim={self.item.embedding_dim}, "
            f"num_layers={self.propagate.num_layers})"
        )
