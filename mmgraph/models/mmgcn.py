"""MMGCN."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import reduce
from itertools import pairwise
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.normalize import mean_norm
from mmgraph.functional.losses.bpr import inner_product_bpr
from mmgraph.functional.losses.regularizers import mean_square_penalty
from mmgraph.functional.rows import take_rows
from mmgraph.functional.unit_rows import unit_rows
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.growth import BY_CONTENT
from mmgraph.models.parts.last_step import LastStepEmbeddings
from mmgraph.nn.conv import MMGCNConv
from mmgraph.nn.modality_dict import ModalityDict, attribute_name, linear_maps
from mmgraph.options import (
    Dimension,
    Dims,
    Fidelity,
    NodeCount,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveLayerCount,
)
from mmgraph.schema import INTERACTS

#: Users and items.
Pair = tuple[Tensor, Tensor]


class Layer(NamedTuple):
    """Users and items of one layer, and the mean of each item's users."""

    x_user: Tensor
    x_item: Tensor
    mean_item: Tensor


class MMGCN(Recommender):
    r"""The system of "MMGCN: Multi-modal Graph Convolution Network for Personalized
    Recommendation of Micro-video" (Wei et al., ACM MM 2019).

    .. math::
        \mathbf{X}_m^{(0)} = \mathrm{norm}([\mathbf{P}_m;
        \mathbf{X}_m \mathbf{W}_m + \mathbf{b}_m]), \qquad
        \mathbf{X}_m^{(l)} = \mathrm{conv}_m^{(l)}(\mathbf{X}_m^{(l-1)}, \mathbf{E}),
        \qquad \mathbf{Z} = \sum_m \mathbf{X}_m^{(L)}

    .. math::
        L = L_{BPR} + \lambda \big( \|\mathbf{E}_u\|^2 + \|\mathbf{E}_i\|^2
        + \textstyle\sum_m \|\mathbf{P}_m\|^2 \big) \quad \text{(means of squares)}

    with the layers of :class:`~mmgraph.nn.conv.MMGCNConv` on the stacked user-item
    graph. :math:`\mathbf{E}` is one embedding for all modalities and layers.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Dimension of each modality's features.
        embedding_dim: Dimension of :math:`\mathbf{E}` and of every layer's output.
        hidden_dim: Dimension of mapped features.
        map_above: Features wider than this are mapped to ``hidden_dim`` first; narrower
            ones enter as they are, without :math:`\mathbf{W}_m`. With 0 all are mapped.
        num_layers: Layers :math:`L` of the propagation.
        combine: How a layer joins neighbours and node, ``"sum"`` or ``"concat"``
            (default: as the fidelity has it).
        reg_weight: Weight :math:`\lambda` of the penalty; of no effect in
            ``"released"``.
        fidelity: ``"paper"``: the embeddings learn, layers combine by the sum, and so
            do the modalities. ``"released"`` is the public code with its accidents:
            :math:`\mathbf{P}_m` and :math:`\mathbf{E}` are never registered, so they
            stay frozen at their random start and the penalty on them is a constant,
            left out here; layers concatenate whatever the option says; the modalities
            are averaged; and scores are those of the last training step's forward pass,
            one step old.

    Example:
        >>> MMGCN(3, 5, {"visual": 16}, embedding_dim=8)
        MMGCN(3, 5, {'visual': 16}, embedding_dim=8, num_layers=3)
    """

    multimodal = True
    fidelities = ("paper", "released")
    growth = replace(BY_CONTENT, users=("preference_*",), nodes=("shared",))

    #: Embeddings of users, then items, that all modalities and layers share.
    shared: Tensor

    shown = ("embedding_dim", "num_layers")

    def __init__(
        self,
        num_users: NodeCount,
        num_items: NodeCount,
        dims: Dims,
        *,
        embedding_dim: Dimension = 64,
        hidden_dim: Dimension = 256,
        map_above: NonNegativeInt = 512,
        num_layers: PositiveLayerCount = 3,
        combine: Literal["sum", "concat"] | None = None,
        reg_weight: NonNegativeFloat = 1e-3,
        fidelity: Fidelity = "paper",
    ) -> None:
        super().__init__(num_users, num_items, dims, fidelity=fidelity)
        self.embedding_dim, self.num_layers = embedding_dim, num_layers
        self.reg_weight = reg_weight
        if combine is None:
            combine = "concat" if fidelity == "released" else "sum"
        wide = {m: dim for m, dim in self.dims.items() if dim > map_above}
        self.project = linear_maps(wide, hidden_dim)
        convs = {}
        for m, dim in self.dims.items():
            first_dim = hidden_dim if m in self.project else dim
            out_dims = num_layers * [embedding_dim]
            layers = [
                MMGCNConv(d_in, d_out, combine)
                for d_in, d_out in pairwise([first_dim, *out_dims])
            ]
            nn.init.xavier_normal_(layers[0].lin_out.weight)
            convs[m] = nn.ModuleList(layers)
            self.add_embedding(f"preference_{attribute_name(m)}", num_users, first_dim)
        self.convs = ModalityDict(convs)
        self.add_embedding("shared", num_users + num_items, embedding_dim)
        self.last_step: LastStepEmbeddings | None = None
        if fidelity == "released":
            self.last_step = LastStepEmbeddings(num_users, num_items, embedding_dim)

    def add_embedding(self, name: str, rows: int, dim: int) -> None:
        """Add a Xavier-normal embedding, trained or frozen as the fidelity has it."""
        embedding = nn.init.xavier_normal_(torch.empty(rows, dim))
        if self.released:
            self.register_buffer(name, embedding)
        else:
            self.register_parameter(name, nn.Parameter(embedding))

    def preference(self, modality: str) -> Tensor:
        r"""The users' embeddings :math:`\mathbf{P}_m`."""
        preference: Tensor = getattr(self, f"preference_{attribute_name(modality)}")
        return preference

    def _encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        out = {}
        for m in self.dims:
            x = take_rows(self.item_features(data, m), items)
            out[m] = self.project[m](x) if m in self.project else x
        return out

    def modality_dims(self) -> dict[str, int]:
        return {m: self.preference(m).size(1) for m in self.dims}

    def encoders_learn(self) -> bool:
        return len(self.project) > 0

    def mean_graphs(self, data: HeteroData) -> tuple[Adjacency, Adjacency]:
        r"""The halves of :math:`\mathbf{D}^{-1} \mathbf{A}`: to users and to items."""
        edge_index, sizes = data[INTERACTS].edge_index, (self.num_users, self.num_items)

        def build() -> tuple[Adjacency, Adjacency]:
            to_user = mean_norm(edge_index.flip(0), self.num_users)
            to_item = mean_norm(edge_index, self.num_items)
            back = Adjacency.from_edge_index(
                edge_index, to_item, num_src=sizes[0], num_dst=sizes[1]
            )
            return Adjacency.bipartite(edge_index, *sizes, to_user), back

        return self.cached("mean graphs", (edge_index,), build)

    def first_users(self, data: HeteroData, modality: str) -> Pair:
        r"""The users' rows of :math:`\mathbf{X}_m^{(0)}`, and each item's mean of them.

        They are the same in every step where the users' embeddings are frozen.
        """
        preference = self.preference(modality)

        def build() -> Pair:
            x_user = unit_rows(preference)
            return x_user, self.mean_graphs(data)[1].matmul(x_user)

        sources = (preference, data[INTERACTS].edge_index)
        return self.cached(("first users", modality), sources, build)

    def all_but_last_layer(self, data: HeteroData) -> dict[str, Layer]:
        """What the last layer of each modality starts from."""
        to_user, to_item = self.mean_graphs(data)
        e_user, e_item = self.split(self.shared)
        out = {}
        for m, z_item in self.encode_modalities(data).items():
            (x_user, mean_item), x_item = self.first_users(data, m), unit_rows(z_item)
            for conv in cast("list[MMGCNConv]", list(self.convs[m])[:-1]):
                x_user, x_item = (
                    conv((x_item, x_user), e_user, to_user),
                    conv.update_nodes(x_item, mean_item, e_item),
                )
                mean_item = to_item.matmul(x_user)
            out[m] = Layer(x_user, x_item, mean_item)
        return out

    def last_layer(
        self,
        data: HeteroData,
        layers: dict[str, Layer],
        convs: dict[str, MMGCNConv],
        users: Tensor | None = None,
        items: Tensor | None = None,
    ) -> Pair:
        """Final users and items, all or the given rows only."""
        to_user, _ = self.mean_graphs(data)
        e_user, e_item = self.split(self.shared)
        z_user, z_item = [], []
        for m, (x_user, *of_items) in layers.items():
            x_item, mean_item, e = (take_rows(x, items) for x in (*of_items, e_item))
            z_user.append(
                convs[m]((of_items[0], x_user), e_user, to_user, targets=users)
            )
            z_item.append(convs[m].update_nodes(x_item, mean_item, e))
        scale = 1 / len(layers) if self.released else 1.0
        return reduce(torch.add, z_user) * scale, reduce(torch.add, z_item) * scale

    def last_convs(self) -> dict[str, MMGCNConv]:
        """The last layer of each modality."""
        return {m: cast(MMGCNConv, convs[-1]) for m, convs in self.convs.items()}

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        if self.last_step is not None and (stale := self.last_step.embeddings()):
            return stale
        layers = self.all_but_last_layer(data)
        return self.last_layer(data, layers, self.last_convs())

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        layers, convs = self.all_but_last_layer(data), self.last_convs()
        # The last layer of the batch's rows only: same values and gradients.
        assert batch.neg_item is not None
        items = torch.cat([batch.pos_item, batch.neg_item])
        user, both = self.last_layer(data, layers, convs, batch.user, items)
        pos, neg = both.split(batch.user.numel())
        terms = {"bpr": inner_product_bpr(user, pos, neg)}
        if self.last_step is not None:  # no penalty either: the embeddings are frozen
            layers = {m: Layer(*(x.detach() for x in h)) for m, h in layers.items()}
            convs = copy.deepcopy(convs)
            self.last_step.keep_later(lambda: self.last_layer(data, layers, convs))
            return terms
        user, pos, neg = batch.rows(*self.split(self.shared))
        preferences = [self.preference(m) for m in self.dims]
        penalty = mean_square_penalty(user, torch.cat([pos, neg]), *preferences)
        return terms | {"reg": self.reg_weight * penalty}
