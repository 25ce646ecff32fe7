"""MGCN."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.normalize import symmetric_norm
from mmgraph.functional.losses.bpr import inner_product_bpr
from mmgraph.functional.losses.contrastive import solosim
from mmgraph.functional.losses.regularizers import half_square_penalty
from mmgraph.functional.rows import take_rows
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.growth import BY_CONTENT
from mmgraph.models.parts.item_features import TrainedFeatures, encode_features
from mmgraph.models.parts.item_graph import similarity_graphs
from mmgraph.nn.conv import BipartiteConv, ItemGraphConv
from mmgraph.nn.encoder import LightGCNEncoder
from mmgraph.nn.fusion import ModalityAttention
from mmgraph.nn.modality_dict import ModalityDict, linear_maps
from mmgraph.options import (
    Dimension,
    Dims,
    Fidelity,
    LayerCount,
    NodeCount,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
)
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
    learning rate falls by the factor 0.96 each 50 epochs (``lr_decay``). A single
    modality has nothing specific, so its :math:`\pi_m` and the attention rest.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Dimension of each modality's features.
        embedding_dim: Dimension of the embeddings.
        num_layers: Layers :math:`L` of the propagation.
        num_item_layers: Steps :math:`L_i` over the item graphs.
        k: Neighbours per item, itself included.
        contrast_weight: Weight :math:`\gamma` of the contrast.
        contrast_temperature: Temperature of the contrast.
        reg_weight: Weight :math:`\lambda` of half the squares per triple.
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
    growth = BY_CONTENT

    shown = ("embedding_dim", "num_layers")

    def __init__(
        self,
        num_users: NodeCount,
        num_items: NodeCount,
        dims: Dims,
        *,
        embedding_dim: Dimension = 64,
        num_layers: LayerCount = 2,
        num_item_layers: LayerCount = 1,
        k: PositiveInt = 10,
        contrast_weight: NonNegativeFloat = 0.01,
        contrast_temperature: PositiveFloat = 0.2,
        reg_weight: NonNegativeFloat = 1e-4,
        fidelity: Fidelity = "paper",
    ) -> None:
        super().__init__(num_users, num_items, dims, fidelity=fidelity)
        self.num_layers, self.k = num_layers, k
        self.contrast_temperature = contrast_temperature
        self.contrast_weight, self.reg_weight = contrast_weight, reg_weight
        self.add_id_embeddings(embedding_dim)
        self.project = linear_maps(self.dims, embedding_dim)
        self.purify, self.prefer = (
            ModalityDict(
                {m: nn.Linear(embedding_dim, embedding_dim) for m in self.dims}
            )
            for _ in range(2)
        )
        self.features = TrainedFeatures(num_items, self.dims if self.released else {})
        self.propagate = LightGCNEncoder(num_layers, readout="mean")
        self.smooth = ItemGraphConv(num_item_layers)
        self.lift = BipartiteConv()
        self.fuse = ModalityAttention(embedding_dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform embeddings, PyTorch's default for the maps."""
        super().reset_parameters()
        for maps in (self.project, self.purify, self.prefer):
            for linear in maps.values():
                linear.reset_parameters()
        self.fuse.reset_parameters()

    def item_graph_transform(self) -> BaseTransform:
        return similarity_graphs(list(self.dims), self.k)

    def item_graph_types(self) -> list[EdgeType]:
        return [similar_edge_type(m) for m in self.dims]

    def _encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        return encode_features(self.project, data, items, self.features)

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        behaviour, content = self.views(data)
        return self.split(behaviour + content)

    def summed_terms(self) -> tuple[str, ...]:
        return ("reg",) if self.released else ()

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        behaviour, content = self.views(data)
        # Rows first: what is added up for a batch need not be for all nodes.
        nodes = batch.whole.nodes(self.num_users)
        b, c = (take_rows(x, nodes).chunk(3) for x in (content, behaviour))
        own = batch.own(*b)
        user, pos, neg = (x + y for x, y in zip(own, batch.own(*c), strict=True))
        size = 2048 if self.released else len(user)
        penalty = half_square_penalty(user, pos, neg, batch_size=size)
        terms = {
            "bpr": inner_product_bpr(user, pos, neg),
            "reg": self.reg_weight * penalty,
        }
        if self.contrast_weight:
            tau = self.contrast_temperature
            users, items = (
                solosim(own[side], c[side], tau, match=batch.places())
                for side in (0, 1)
            )
            terms["contrast"] = self.contrast_weight * (users + items)
        return terms

    def views(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        r"""All nodes by behaviour :math:`\mathbf{C}` and content :math:`\mathbf{B}`."""
        e_0 = self.id_embeddings()
        c = self.propagate(e_0, self.user_item_graph(data))

        f = self.encode_modalities(data)
        views = []
        for m, gate in self.purify.items():
            item = self.item.weight * gate(f[m]).sigmoid()
            item = self.smooth(item, self.item_graph(data, similar_edge_type(m)))
            user = self.lift(item, self.item_user_graph(data), len(self.user.weight))
            views.append(torch.cat([user, item]))

        common = self.fuse(views)
        content = common
        weight = 1.0 if self.released else 1 / len(views)
        for prefer, view in zip(self.prefer.values(), views, strict=True):
            gate = prefer(c).sigmoid()
            content = torch.addcmul(content, gate, view - common, value=weight)
        return c, content / (len(views) + 1) if self.released else content

    def item_user_graph(self, data: HeteroData) -> Adjacency:
        r"""The symmetrically normalised graph :math:`\hat{\mathbf{R}}` to the users."""
        edge_index = data[INTERACTS].edge_index
        sizes = self.num_users, self.num_items
        return self.cached(
            "item-user",
            (edge_index,),
            lambda: Adjacency.bipartite(
                edge_index, *sizes, symmetric_norm(edge_index, *sizes)
            ),
        )
