"""CLEAR."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from mmgraph.functional.checks import check_share
from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.prune import prune_edges
from mmgraph.functional.losses.bpr import bpr_loss
from mmgraph.functional.losses.regularizers import mean_square_penalty
from mmgraph.functional.rows import take_rows
from mmgraph.models.base import Recommender, user_item_adjacency
from mmgraph.models.batch import Batch
from mmgraph.models.parts.item_features import encode_features
from mmgraph.models.parts.item_graph import fused_item_graph
from mmgraph.models.plugins.clear import (
    check_rank,
    refresh_projection,
    refreshed_measures,
    warn_of_one_modality,
)
from mmgraph.nn.conv import ItemGraphConv
from mmgraph.nn.encoder import ModalityEncoder, ModalityGraphEncoder
from mmgraph.nn.fusion import UserModalityWeights
from mmgraph.nn.modality_dict import ModalityDict
from mmgraph.nn.projection import NullSpaceProjection
from mmgraph.schema import INTERACTS


class CLEAR(Recommender):
    r"""The system of "CLEAR: Null-Space Projection for Cross-Modal De-Redundancy in
    Multimodal Recommendation" (2026), Algorithm 1.

    .. math::
        \mathbf{V} = \phi_v(\mathbf{V}_{raw}), \quad
        \mathbf{C} = \tfrac{1}{N} \bar{\mathbf{V}}^\top \bar{\mathbf{T}}
        = \mathbf{U} \mathbf{\Sigma} \mathbf{W}^\top, \quad
        \tilde{\mathbf{V}} = \mathbf{V} - \lambda (\mathbf{V} \mathbf{U}_k)
        \mathbf{U}_k^\top

    .. math::
        \mathbf{H}_m = \sum_{l=0}^{L} \hat{\mathbf{A}}^l
        \mathrm{norm}([\mathbf{P}_m; \tilde{\mathbf{M}}_m]), \quad
        \mathbf{E}_u = \Vert_m\, w_{u,m} \mathbf{H}_m[u], \quad
        \mathbf{E}_i = (\mathbf{I} + \mathbf{S}) (\Vert_m\, \mathbf{H}_m)[i]

    .. math::
        L = L_{BPR} + \gamma \big( \textstyle\sum_m \|\mathbf{P}_m[u]\|^2
        + \|\mathbf{w}\|^2 \big) \quad \text{(means of squares)}

    (Eqs. 1-5, 9-10, 14-16). The projected features are the raw, not the centred ones,
    as section 3.5 and Algorithm 1 have it. The paper leaves the backbone open where its
    own text is short; the choices here are those of its family: the graph convolution
    sums its layers, :math:`\mathbf{S}` is FREEDOM's item graph, the user weights start
    as a softmax and are free afterwards. There is no public code, so ``"paper"`` is the
    only fidelity.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Width of each modality's features.
        embedding_dim: Width of each modality's embeddings.
        hidden_dim: Width between the two layers of the encoders.
        num_layers: :math:`L`.
        num_item_layers: Steps over the item graph.
        k: Neighbours per item in that graph, itself included.
        visual_weight: Share of the visual graph, see
            :func:`~mmgraph.models.parts.item_graph.modality_weights`.
        modality_weights: Share of each modality instead.
        rank: Number of shared directions, the paper's :math:`k`.
        strength: :math:`\lambda`; 0 switches the projection off.
        refresh_every: Epochs between two computations of the directions, :math:`\tau`.
        energy: Choose the number of directions at each refresh by this share of the
            energy instead (the paper's ablation "dynamic ratio").
        sides: ``"both"``, or the one modality that is projected.
        center_output: Project the centred embeddings instead of the raw ones.
        edge_drop: Share of the user-item edges left out in each epoch (the paper names
            a dropped graph without its rate).
        edge_drop_by: ``"uniform"`` or ``"degree"``.
        user_weights: ``"free"`` or ``"softmax"``.
        init: Of the encoders, ``"xavier"`` or ``"default"``.
        reg_weight: :math:`\gamma`.

    Example:
        >>> CLEAR(3, 5, {"visual": 16, "textual": 8}, rank=2)
        CLEAR(3, 5, {'visual': 16, 'textual': 8}, rank=2, strength=0.9)
    """

    lr = 1e-4
    multimodal = True
    built_in = "CLEAR"

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dims: dict[str, int],
        *,
        embedding_dim: int = 64,
        hidden_dim: int = 256,
        num_layers: int = 2,
        num_item_layers: int = 1,
        k: int = 10,
        visual_weight: float = 0.1,
        modality_weights: dict[str, float] | None = None,
        rank: int = 8,
        strength: float = 0.9,
        refresh_every: int = 1,
        energy: float | None = None,
        sides: str = "both",
        center_output: bool = False,
        edge_drop: float = 0.1,
        edge_drop_by: str = "uniform",
        user_weights: str = "free",
        init: str = "xavier",
        reg_weight: float = 1e-3,
    ) -> None:
        super().__init__()
        check_share(edge_drop=edge_drop)
        if edge_drop_by not in ("uniform", "degree"):
            raise ValueError(
                f"'edge_drop_by' must be 'uniform' or 'degree' (got {edge_drop_by!r})"
            )
        if energy is None and len(dims) > 1:
            check_rank(rank, embedding_dim)
        self.num_users, self.num_items, self.dims = num_users, num_items, dims
        self.embedding_dim, self.reg_weight = embedding_dim, reg_weight
        self.edge_drop, self.edge_drop_by = edge_drop, edge_drop_by
        self.graph_transform = fused_item_graph(
            list(dims), k, modality_weights, visual_weight
        )
        self.encoders = ModalityDict(
            {
                m: ModalityEncoder(dim, embedding_dim, hidden_dim, init)
                for m, dim in dims.items()
            }
        )
        self.project = NullSpaceProjection(
            rank,
            strength,
            refresh_every=refresh_every,
            energy=energy,
            sides=sides,
            center_output=center_output,
        )
        self.propagate = ModalityGraphEncoder(
            num_users, list(dims), embedding_dim, num_layers
        )
        self.fuse_users = UserModalityWeights(num_users, len(dims), user_weights)
        self.smooth = ItemGraphConv(num_item_layers)
        self.dropped_graph: Adjacency | None = None

    def item_graph_transform(self) -> BaseTransform:
        return self.graph_transform

    def on_epoch_start(
        self, data: HeteroData, epoch: int, generator: torch.Generator
    ) -> None:
        super().on_epoch_start(data, epoch, generator)
        warn_of_one_modality(self.dims, self.project.strength, epoch)
        if self.project.should_refresh(epoch):
            refresh_projection(self.project, self, data, epoch)
        if self.edge_drop:
            edge_index = data[INTERACTS].edge_index
            kept = prune_edges(
                edge_index, self.edge_drop, by=self.edge_drop_by, generator=generator
            )
            self.dropped_graph = user_item_adjacency(
                edge_index[:, kept], self.num_users, self.num_items
            )

    def epoch_measures(self, epoch: int) -> dict[str, float]:
        return super().epoch_measures(epoch) | refreshed_measures(self.project, epoch)

    def encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        return encode_features(self.encoders, data, items)

    def modality_widths(self) -> dict[str, int]:
        return dict.fromkeys(self.dims, self.embedding_dim)

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        z = self.project(self.item_modalities(data))
        dropped = self.dropped_graph if self.training else None
        graph = self.user_item_graph(data) if dropped is None else dropped
        h = self.propagate(z, graph)
        z_user = self.fuse_users([h_user for h_user, _ in h.values()])
        z_item = torch.cat([h_item for _, h_item in h.values()], dim=1)
        return z_user, z_item + self.smooth(z_item, self.item_graph(data))

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        z_user, z_item = self.encode(data)
        user, pos, neg = batch.rows(z_user, z_item)
        preference = [
            take_rows(p, batch.user) for p in self.propagate.preference.values()
        ]
        penalty = mean_square_penalty(*preference, self.fuse_users.weight)
        return {
            "bpr": bpr_loss((user * pos).sum(-1), (user * neg).sum(-1)),
            "reg": self.reg_weight * penalty,
        }

    def __repr__(self) -> str:
        return (
            f"CLEAR({self.num_users}, {self.num_items}, {self.dims}, "
            f"rank={self.project.rank}, strength={self.project.strength})"
        )
