"""CLEAR."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform, Compose

from mmgraph.errors import UserError
from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.prune import prune_edges
from mmgraph.functional.losses.bpr import inner_product_bpr
from mmgraph.functional.losses.regularizers import mean_square_penalty
from mmgraph.functional.rows import take_rows
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.growth import BY_PREFERENCES
from mmgraph.models.parts.item_features import encode_features
from mmgraph.models.parts.item_graph import fused_item_graph
from mmgraph.models.plugins.clear import (
    Directions,
    Energy,
    check_projection,
    refresh_projection,
    refreshed_measures,
    warn_if_nothing_is_shared,
)
from mmgraph.nn.encoder import ModalityEncoder, MultimodalGCN
from mmgraph.nn.modality_dict import ModalityDict
from mmgraph.nn.projection import NullSpaceProjection
from mmgraph.options import (
    Dimension,
    Dims,
    DropRatio,
    Fraction,
    LayerCount,
    ModalityWeights,
    NodeCount,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
)
from mmgraph.schema import INTERACTS
from mmgraph.transforms import NullSpaceProjection as ProjectFeatures


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
        dims: Dimension of each modality's features.
        embedding_dim: Dimension of each modality's embeddings.
        hidden_dim: Dimension between the two layers of the encoders.
        num_layers: Layers :math:`L` of the propagation.
        num_item_layers: Steps over the item graph.
        k: Neighbours per item in that graph, itself included.
        visual_weight: Weight of the visual graph, see
            :func:`~mmgraph.models.parts.item_graph.modality_weights`.
        modality_weights: Weight of each modality instead.
        rank: Number of shared directions, the paper's :math:`k`.
        strength: Fraction :math:`\lambda` of them that is removed; 0 switches the
            projection off.
        refresh_every: Epochs between two computations of the directions, :math:`\tau`.
        energy: Choose the number of directions at each refresh by this ratio of the
            energy instead (the paper's ablation "dynamic ratio").
        penalty: Choose it by Eq. 13 instead: directions that hold more than this ratio
            of the energy.
        effective_rank: Choose it as the effective rank of the spectrum instead.
        directions: ``"covariance"``, as the paper, or ``"canonical"`` for those of the
            correlation, see :func:`mmgraph.functional.shared_bases`.
        sides: ``"both"``, or the one modality that is projected.
        center_output: Project the centred embeddings instead of the raw ones.
        stop_gradient: Let no gradient through along the shared directions, see
            :class:`~mmgraph.nn.NullSpaceProjection`.
        graph_rank: Shared directions of the raw features that are removed before the
            item graph is built from them; 0 leaves the graph as it is.
        graph_strength: Fraction of those that is removed.
        fuse: ``"concat"``: modalities side by side; ``"sum"``: added up, which line 13
            of Algorithm 1 can be read as.
        edge_drop: Fraction of the user-item edges left out in each epoch (the paper
            names a dropped graph without its rate).
        edge_drop_by: ``"uniform"`` or ``"degree"``; ``"item-modality"``: this fraction
            of the items is drawn instead, and each of the :math:`M` modalities loses
            all edges of a part of :math:`1 / (M + 1)` of them, as in the public codes
            of its family (a third each of two; the last third loses none).
        user_weights: Weights of a user's modalities, ``"free"`` or ``"softmax"``.
        init: Initialisation of the encoders, ``"xavier"`` or ``"default"``.
        reg_weight: Weight :math:`\gamma` of the penalty.
        reg_on: ``"preference"``: the users' embeddings before the propagation, as
            Eq. 15; ``"hidden"``: after it, as Algorithm 1, line 16.

    Example:
        >>> CLEAR(3, 5, {"visual": 16, "textual": 8}, rank=2)
        CLEAR(3, 5, {'visual': 16, 'textual': 8}, rank=2, strength=0.9)
    """

    lr = 1e-4
    multimodal = True
    built_in = "CLEAR"
    growth = BY_PREFERENCES
    former_names = (
        ("propagate.", "gcn.propagate."),
        ("fuse_users.", "gcn.fuse_users."),
    )

    shown = ("rank", "strength")

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
        rank: NonNegativeInt = 8,
        strength: Fraction = 0.9,
        refresh_every: PositiveInt = 1,
        energy: Energy | None = None,
        penalty: Fraction | None = None,
        effective_rank: bool = False,
        directions: Directions = "covariance",
        sides: str = "both",
        center_output: bool = False,
        stop_gradient: bool = False,
        graph_rank: NonNegativeInt = 0,
        graph_strength: Fraction = 0.9,
        fuse: Literal["concat", "sum"] = "concat",
        edge_drop: DropRatio = 0.1,
        edge_drop_by: Literal["uniform", "degree", "item-modality"] = "uniform",
        user_weights: Literal["free", "softmax"] = "free",
        init: Literal["xavier", "default"] = "xavier",
        reg_weight: NonNegativeFloat = 1e-3,
        reg_on: Literal["preference", "hidden"] = "preference",
    ) -> None:
        super().__init__(num_users, num_items, dims)
        options: dict[str, Any] = {
            "refresh_every": refresh_every,
            "energy": energy,
            "penalty": penalty,
            "effective_rank": effective_rank,
            "directions": directions,
            "sides": sides,
            "center_output": center_output,
            "stop_gradient": stop_gradient,
        }
        check_projection(dict.fromkeys(self.dims, embedding_dim), rank, options)
        self.rank, self.strength = rank, strength
        self.embedding_dim, self.reg_weight = embedding_dim, reg_weight
        self.edge_drop, self.edge_drop_by = edge_drop, edge_drop_by
        self.fuse, self.reg_on = fuse, reg_on
        self.graph_transform = fused_item_graph(
            list(self.dims), k, modality_weights, visual_weight
        )
        if graph_rank:
            _check_graph_rank(graph_rank, self.dims)
            projected = ProjectFeatures(graph_rank, graph_strength)
            self.graph_transform = Compose([projected, self.graph_transform])
        self.encoders = ModalityDict(
            {
                m: ModalityEncoder(dim, embedding_dim, hidden_dim, init)
                for m, dim in self.dims.items()
            }
        )
        self.project = NullSpaceProjection(rank, strength, **options)
        self.gcn = MultimodalGCN(
            num_users,
            list(self.dims),
            embedding_dim,
            num_layers,
            num_item_layers,
            user_weights,
        )
        self.dropped_graphs: dict[str, Adjacency] | None = None

    def item_graph_transform(self) -> BaseTransform:
        return self.graph_transform

    def on_epoch_start(
        self, data: HeteroData, epoch: int, generator: torch.Generator
    ) -> None:
        warn_if_nothing_is_shared(self.dims, data, self.strength, epoch)
        encode = partial(self._encode_without_gradient, data)
        refresh_projection(self.project, encode, data, epoch)
        if self.edge_drop:
            edge_index = data[INTERACTS].edge_index
            self.dropped_graphs = self.drop_edges(edge_index, generator)

    def drop_edges(
        self, edge_index: Tensor, generator: torch.Generator
    ) -> dict[str, Adjacency]:
        """The graph of an epoch by modality, the same for all but by item-modality."""
        sizes = self.num_users, self.num_items
        if self.edge_drop_by != "item-modality":
            kept = prune_edges(
                edge_index, self.edge_drop, by=self.edge_drop_by, generator=generator
            )
            return dict.fromkeys(
                self.dims, Adjacency.user_item(edge_index[:, kept], *sizes)
            )
        device = edge_index.device
        order = torch.randperm(self.num_items, generator=generator, device=device)
        drawn = order[: round(self.edge_drop * self.num_items)]
        parts = drawn.tensor_split(len(self.dims) + 1)
        graphs = {}
        for m, items in zip(self.dims, parts, strict=False):
            loses = torch.zeros(self.num_items, dtype=torch.bool, device=device)
            loses[items] = True
            kept = ~loses[edge_index[1]]
            graphs[m] = Adjacency.user_item(edge_index[:, kept], *sizes)
        return graphs

    def epoch_measures(self, epoch: int) -> dict[str, float]:
        return refreshed_measures(self.project, epoch)

    def _encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        return encode_features(self.encoders, data, items)

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        return self.fused(self.hidden(data), self.item_graph(data))

    def hidden(self, data: HeteroData) -> dict[str, tuple[Tensor, Tensor]]:
        r"""Users and items :math:`\mathbf{H}_m` per modality."""
        z = self.project(self.encode_modalities(data))
        dropped = self.dropped_graphs if self.training else None
        if dropped is None:
            whole: dict[str, tuple[Tensor, Tensor]] = self.gcn.propagate(
                z, self.user_item_graph(data)
            )
            return whole
        return {m: self.gcn.propagate({m: z[m]}, dropped[m])[m] for m in z}

    def fused(
        self, h: dict[str, tuple[Tensor, Tensor]], item_graph: Adjacency
    ) -> tuple[Tensor, Tensor]:
        r"""Final users and items, from those per modality."""
        if self.fuse == "concat":
            return self.gcn.fuse(h, item_graph)
        users = self.gcn.fuse_users.weighted([h_user for h_user, _ in h.values()])
        z_item = torch.stack([h_item for _, h_item in h.values()]).sum(dim=0)
        return torch.stack(users).sum(dim=0), self.gcn.smooth(z_item, item_graph)

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        h = self.hidden(data)
        user, pos, neg = batch.rows(*self.fused(h, self.item_graph(data)))
        return {
            "bpr": inner_product_bpr(user, pos, neg),
            "reg": self.reg_weight * self.penalty_of(h, batch),
        }

    def penalty_of(self, h: dict[str, tuple[Tensor, Tensor]], batch: Batch) -> Tensor:
        """Mean squares of what the batch's users have, and of the weights."""
        if self.reg_on == "preference":
            return self.gcn.penalty(batch.user)
        hidden = [take_rows(h_user, batch.user) for h_user, _ in h.values()]
        return mean_square_penalty(*hidden, self.gcn.fuse_users.weight)


def _check_graph_rank(rank: int, dims: dict[str, int]) -> None:
    most = min(dims.values())
    if len(dims) > 1 and rank > most:
        raise UserError(
            f"'graph_rank' must be in [0, {most}] (got {rank})", "lower it", owner=""
        )
