"""LGMRec."""

from __future__ import annotations

from functools import reduce
from itertools import combinations
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.functional.cosine_factors import cosine_factors
from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.normalize import mean_norm
from mmgraph.functional.gumbel import gumbel_softmax
from mmgraph.functional.losses.bpr import inner_product_bpr
from mmgraph.functional.losses.contrastive import solosim
from mmgraph.functional.rows import take_rows
from mmgraph.functional.unit_rows import unit_rows
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.growth import BY_CONTENT
from mmgraph.models.parts.item_features import encode_features
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
    PositiveFloat,
    PositiveLayerCount,
)
from mmgraph.schema import INTERACTS

#: Users and items.
Pair = tuple[Tensor, Tensor]


class Hypergraph(NamedTuple):
    r"""One modality's soft hyperedges: memberships and what the hyperedges hold.

    Its users are :math:`\mathbf{H}_U \mathbf{G}` and its items :math:`\mathbf{H}_I
    \mathbf{G}`, with :math:`\mathbf{G} = \mathbf{H}_I^\top \mathbf{x}` of the last
    step.
    """

    h_user: Tensor
    h_item: Tensor
    hyperedge: Tensor

    def nodes(self) -> Tensor:
        """Users, then items."""
        return torch.cat([self.h_user, self.h_item]) @ self.hyperedge


class LGMRec(Recommender):
    r"""`"LGMRec: Local and Global Graph Learning for Multimodal Recommendation"
    <https://arxiv.org/abs/2312.16400>`_ (Guo et al., AAAI 2024).

    Local: the ID embeddings on the user-item graph, and each modality on its own, where
    users start as the mean of their items.

    .. math::
        \mathbf{C} = \frac{1}{L+1} \sum_{l=0}^{L} \hat{\mathbf{A}}^l \mathbf{E}, \qquad
        \mathbf{F}_m = \mathbf{X}_m \mathbf{W}_m, \qquad
        \mathbf{M}_m = \hat{\mathbf{A}}^{L_m}
        [\mathbf{D}_U^{-1} \mathbf{R} \mathbf{F}_m; \mathbf{F}_m]

    Global: soft hyperedges per modality, through which items reach items and users
    (:math:`L_h` times; the product with the item side comes first, so no matrix is
    larger than nodes times hyperedges).

    .. math::
        \mathbf{H}_I^m = \mathrm{GS}(\mathbf{X}_m \mathbf{V}_m), \quad
        \mathbf{H}_U^m = \mathrm{GS}(\mathbf{R} \mathbf{X}_m \mathbf{V}_m), \quad
        \mathbf{x}_m = \mathbf{H}_I^m {\mathbf{H}_I^m}^\top \mathbf{x}_m, \quad
        \mathbf{u}_m = \mathbf{H}_U^m {\mathbf{H}_I^m}^\top \mathbf{x}_m

    starting from the items of :math:`\mathbf{C}`; GS is the row-wise Gumbel softmax.
    With row-wise normalisation,

    .. math::
        \mathbf{Z} = \mathbf{C} + \sum_m \mathrm{norm}(\mathbf{M}_m)
        + \alpha\, \mathrm{norm}\Big(\sum_m [\mathbf{u}_m; \mathbf{x}_m]\Big), \qquad
        L = L_{BPR} + \gamma L_{HCL} + \lambda \Omega

    :math:`L_{HCL}` contrasts the hypergraph embeddings of two modalities, the first one
    of the data as anchor, for the batch's users and for its items: the sum over the
    batch of the negative log softmax of the match among *all* users or items. With more
    modalities it is summed over their pairs, with one there is none.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Dimension of each modality's features.
        embedding_dim: Dimension of the embeddings.
        num_layers: Layers :math:`L` of the ID embeddings' propagation.
        num_modality_layers: Layers :math:`L_m` of each modality's propagation.
        num_hypergraph_layers: Steps :math:`L_h` through the hyperedges.
        num_hyperedges: Hyperedges per modality.
        dropout: Fraction of the entries of :math:`\mathbf{H}` that is dropped.
        global_weight: Weight :math:`\alpha` of the hypergraph embeddings.
        contrast_weight: Weight :math:`\gamma` of the contrast.
        contrast_temperature: Temperature of the Gumbel softmax and of the contrast.
        reg_weight: Weight :math:`\lambda` of the penalty.
        fidelity: ``"paper"``: evaluation has no noise, so GS is a softmax there, and
            :math:`\Omega` is half the squared norm of the batch's final vectors per
            triple. ``"released"``: evaluation is noisy as training is, here with one
            fixed draw, and :math:`\Omega` is the norm of the whole batch, not squared,
            by its rows.

    Example:
        >>> LGMRec(3, 5, {"visual": 16}, embedding_dim=8)
        LGMRec(3, 5, {'visual': 16}, embedding_dim=8, num_hyperedges=4)
    """

    multimodal = True
    random_loss = True
    fidelities = ("paper", "released")
    growth = BY_CONTENT
    rescaled = ("reg_weight",)

    shown = ("embedding_dim", "num_hyperedges")

    def __init__(
        self,
        num_users: NodeCount,
        num_items: NodeCount,
        dims: Dims,
        *,
        embedding_dim: Dimension = 64,
        num_layers: LayerCount = 2,
        num_modality_layers: LayerCount = 2,
        num_hypergraph_layers: PositiveLayerCount = 1,
        num_hyperedges: Dimension = 4,
        dropout: DropRatio = 0.5,
        global_weight: NonNegativeFloat = 0.3,
        contrast_weight: NonNegativeFloat = 1e-4,
        contrast_temperature: PositiveFloat = 0.2,
        reg_weight: NonNegativeFloat = 1e-6,
        fidelity: Fidelity = "paper",
    ) -> None:
        super().__init__(num_users, num_items, dims, fidelity=fidelity)
        self.num_hypergraph_layers = num_hypergraph_layers
        self.num_hyperedges = num_hyperedges
        self.dropout, self.contrast_temperature = dropout, contrast_temperature
        self.global_weight, self.contrast_weight = global_weight, contrast_weight
        self.reg_weight = reg_weight
        self.add_id_embeddings(embedding_dim)
        self.project = linear_maps(self.dims, embedding_dim, bias=False)
        self.hyperedges = linear_maps(self.dims, num_hyperedges, bias=False)
        self.propagate = LightGCNEncoder(num_layers, readout="mean")
        self.propagate_modality = LightGCNEncoder(num_modality_layers, readout="last")
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform embeddings and maps."""
        super().reset_parameters()
        for linear in (*self.project.values(), *self.hyperedges.values()):
            nn.init.xavier_uniform_(linear.weight)

    def _encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        return encode_features(self.project, data, items)

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        (z_user, z_item), _ = self.embed(data)
        return z_user, z_item

    def embed(self, data: HeteroData) -> tuple[Pair, dict[str, Hypergraph]]:
        """Final users and items, and the hypergraph of each modality."""
        graph, mean_history = self.user_item_graph(data), self.mean_history(data)
        c = self.propagate(self.id_embeddings(), graph)
        local = c
        for f in self.encode_modalities(data).values():
            f_user = mean_history.matmul(f)
            m = self.propagate_modality(torch.cat([f_user, f]), graph)
            local = local + unit_rows(m)
        hyper = self.hypergraphs(data, self.split(c)[1])
        g = unit_rows(reduce(torch.add, (one.nodes() for one in hyper.values())))
        return self.split(local.add(g, alpha=self.global_weight)), hyper

    def hypergraphs(self, data: HeteroData, c_item: Tensor) -> dict[str, Hypergraph]:
        """The hyperedges of each modality, starting from the items of ``c``."""
        history, out = self.history(data), {}
        # One fixed draw for evaluation, the same on every device.
        fixed = torch.Generator().manual_seed(0)
        for m, linear in self.hyperedges.items():
            logits = linear(self.item_features(data, m))
            h_item = self.soften(logits, fixed)
            h_user = self.soften(history.matmul(logits), fixed)
            hyperedge = h_item.t() @ c_item
            for _ in range(1, self.num_hypergraph_layers):
                hyperedge = h_item.t() @ (h_item @ hyperedge)
            out[m] = Hypergraph(h_user, h_item, hyperedge)
        return out

    def soften(self, logits: Tensor, fixed: torch.Generator) -> Tensor:
        """Membership of each node in each hyperedge, from rows of logits."""
        if self.training:
            soft = gumbel_softmax(logits, self.contrast_temperature)
            return F.dropout(soft, self.dropout)
        if self.released:
            return gumbel_softmax(logits, self.contrast_temperature, generator=fixed)
        return (logits / self.contrast_temperature).softmax(dim=-1)

    def summed_terms(self) -> tuple[str, ...]:
        return ("contrast",)

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        (z_user, z_item), hyper = self.embed(data)
        rows = batch.whole.rows(z_user, z_item)
        user, pos, neg = batch.own(*rows)
        terms = {"bpr": inner_product_bpr(user, pos, neg)}
        if self.contrast_weight and len(hyper) > 1:
            contrast = [
                self.contrast(one, other, batch)
                for one, other in combinations(hyper.values(), 2)
            ]
            terms["contrast"] = self.contrast_weight * torch.stack(contrast).sum()
        penalty = embedding_penalty(self.fidelity, *rows)
        return terms | {"reg": self.reg_weight * penalty}

    def contrast(self, one: Hypergraph, other: Hypergraph, batch: Batch) -> Tensor:
        """Sum over the batch's users and items; all users or items are candidates."""
        losses = []
        for anchor, candidate, rows in (
            (one.h_user, other.h_user, batch.user),
            (one.h_item, other.h_item, batch.pos_item),
        ):
            # As many columns as hyperedges: a fifth of the CPU time at 4 of them.
            p, q = cosine_factors(
                take_rows(anchor, rows), one.hyperedge, candidate, other.hyperedge
            )
            tau = self.contrast_temperature
            mean = solosim(p, q, tau, normalize=False, match=rows)
            losses.append(rows.numel() * mean)
        return torch.stack(losses).sum()

    def history(self, data: HeteroData) -> Adjacency:
        r"""The matrix :math:`\mathbf{R}`, from items to users."""
        edge_index = data[INTERACTS].edge_index
        return self.cached(
            "history",
            (edge_index,),
            lambda: Adjacency.bipartite(edge_index, self.num_users, self.num_items),
        )

    def mean_history(self, data: HeteroData) -> Adjacency:
        r"""The matrix :math:`\mathbf{D}_U^{-1} \mathbf{R}`: the mean of the items."""
        edge_index = data[INTERACTS].edge_index

        def build() -> Adjacency:
            weight = mean_norm(edge_index.flip(0), self.num_users)
            return Adjacency.bipartite(
                edge_index, self.num_users, self.num_items, weight
            )

        return self.cached("mean history", (edge_index,), build)
