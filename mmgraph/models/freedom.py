"""FREEDOM."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.prune import prune_edges
from mmgraph.functional.losses.bpr import inner_product_bpr
from mmgraph.functional.rows import take_rows
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.growth import BY_CONTENT
from mmgraph.models.parts.item_features import TrainedFeatures, encode_features
from mmgraph.models.parts.item_graph import fused_item_graph
from mmgraph.nn.conv import ItemGraphConv
from mmgraph.nn.encoder import LightGCNEncoder
from mmgraph.nn.modality_dict import linear_maps
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
    PositiveInt,
)
from mmgraph.schema import INTERACTS


class FREEDOM(Recommender):
    r"""`"A Tale of Two Graphs: Freezing and Denoising Graph Structures for Multimodal
    Recommendation" <https://arxiv.org/abs/2211.06924>`_ (Zhou and Shen, ACM MM 2023).

    .. math::
        \mathbf{S} = \sum_m \alpha_m \mathbf{S}^m \; \text{(frozen)}, \qquad
        \mathbf{H} = \mathbf{S}^{L_i} \mathbf{E}_I, \qquad
        [\mathbf{Z}_U; \mathbf{Z}_I] = \frac{1}{L+1} \sum_{l=0}^{L}
        \hat{\mathbf{A}}_\rho^l \mathbf{E}

    .. math::
        L = L_{BPR}(\mathbf{Z}_U, \mathbf{Z}_I + \mathbf{H})
        + \lambda \sum_m L_{BPR}(\mathbf{Z}_U, \mathbf{X}_m \mathbf{W}_m + \mathbf{b}_m)

    :math:`\hat{\mathbf{A}}_\rho` is drawn anew each epoch: it keeps the ratio
    :math:`1-\rho` of the edges, with probability proportional to
    :math:`1/\sqrt{d_u d_i}`. Evaluation uses all edges.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Dimension of each modality's features.
        embedding_dim: Dimension of the embeddings.
        num_layers: Layers :math:`L` of the propagation.
        num_item_layers: Steps :math:`L_i` over the item graph.
        k: Neighbours per item, itself included.
        visual_weight: Weight of the visual graph, see
            :func:`~mmgraph.models.parts.item_graph.modality_weights`.
        modality_weights: Weight of each modality instead.
        edge_drop: Fraction :math:`\rho` of the edges left out in each epoch.
        reg_weight: Weight :math:`\lambda` of the feature terms. At 0 the features act
            through the graph alone.
        fidelity: ``"released"`` also trains the raw features; they start as a copy.

    Example:
        >>> FREEDOM(3, 5, {"visual": 16}, embedding_dim=8)
        FREEDOM(3, 5, {'visual': 16}, embedding_dim=8, num_layers=2)
    """

    multimodal = True
    scores_read_encoders = False
    inert_parameters = ("project.*.bias",)
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
        visual_weight: Fraction = 0.1,
        modality_weights: ModalityWeights | None = None,
        edge_drop: DropRatio = 0.8,
        reg_weight: NonNegativeFloat = 1e-3,
        fidelity: Fidelity = "paper",
    ) -> None:
        super().__init__(num_users, num_items, dims, fidelity=fidelity)
        self.num_layers = num_layers
        self.edge_drop, self.reg_weight = edge_drop, reg_weight
        self.graph_transform = fused_item_graph(
            list(self.dims), k, modality_weights, visual_weight
        )
        self.add_id_embeddings(embedding_dim)
        self.project = linear_maps(self.dims, embedding_dim)
        self.features = TrainedFeatures(num_items, self.dims if self.released else {})
        self.propagate = LightGCNEncoder(num_layers, readout="mean")
        self.smooth = ItemGraphConv(num_item_layers)
        self.pruned_graph: Adjacency | None = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform embeddings, PyTorch's default for the maps."""
        super().reset_parameters()
        for linear in self.project.values():
            linear.reset_parameters()

    def item_graph_transform(self) -> BaseTransform:
        return self.graph_transform

    def on_epoch_start(
        self, data: HeteroData, epoch: int, generator: torch.Generator
    ) -> None:
        edge_index = data[INTERACTS].edge_index
        kept = prune_edges(edge_index, self.edge_drop, generator=generator)
        self.pruned_graph = Adjacency.user_item(
            edge_index[:, kept], self.num_users, self.num_items
        )

    def _encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        return encode_features(self.project, data, items, self.features)

    def encoders_reach_scores(self) -> bool:
        return self.reg_weight > 0

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        pruned = self.pruned_graph if self.training else None
        graph = self.user_item_graph(data) if pruned is None else pruned
        e_0 = self.id_embeddings()
        z_user, z_item = self.split(self.propagate(e_0, graph))
        h = self.smooth(self.item.weight, self.item_graph(data))
        return z_user, z_item + h

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        z_user, z_item = self.encode(data)
        user, pos, neg = batch.rows(z_user, z_item)
        terms = {"bpr": inner_product_bpr(user, pos, neg)}
        if self.reg_weight:
            items, pos_place, neg_place = batch.distinct_items()
            for m, f in self.encode_modalities(data, items).items():
                pos, neg = take_rows(f, pos_place), take_rows(f, neg_place)
                terms[f"bpr_{m}"] = self.reg_weight * inner_product_bpr(user, pos, neg)
        return terms
