"""MMGCN."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.functional.checks import check_at_least
from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.normalize import mean_norm, stack_user_item
from mmgraph.functional.losses.bpr import bpr_loss
from mmgraph.functional.losses.regularizers import mean_square_penalty
from mmgraph.functional.rows import take_rows
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.last_step import LastStep
from mmgraph.nn.conv import MMGCNConv
from mmgraph.nn.modality_dict import ModalityDict
from mmgraph.schema import INTERACTS, ITEM, feature_key


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
    graph. :math:`\mathbf{E}` is one table of embeddings for all modalities and layers.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Width of each modality's features.
        embedding_dim: Width of :math:`\mathbf{E}` and of every layer's output.
        hidden_dim: Width of mapped features.
        map_above: Features wider than this are mapped to ``hidden_dim`` first; narrower
            ones enter as they are, without :math:`\mathbf{W}_m`. With 0 all are mapped.
        num_layers: :math:`L`.
        combine: How a layer joins neighbours and node, ``"sum"`` or ``"concat"``
            (default: as the fidelity has it).
        reg_weight: :math:`\lambda`; of no effect in ``"released"``.
        fidelity: ``"paper"``: the tables learn, layers combine by the sum, and so do
            the modalities. ``"released"`` is the public code with its accidents:
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

    #: Embeddings of users, then items, that all modalities and layers share.
    shared: Tensor

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dims: dict[str, int],
        *,
        embedding_dim: int = 64,
        hidden_dim: int = 256,
        map_above: int = 512,
        num_layers: int = 3,
        combine: str | None = None,
        reg_weight: float = 1e-3,
        fidelity: str = "paper",
    ) -> None:
        super().__init__()
        check_at_least(1, num_layers=num_layers)
        self.num_users, self.num_items, self.dims = num_users, num_items, dims
        self.embedding_dim, self.num_layers = embedding_dim, num_layers
        self.reg_weight, self.fidelity = reg_weight, self.check_fidelity(fidelity)
        if combine is None:
            combine = "concat" if fidelity == "released" else "sum"
        self.project = ModalityDict(
            {
                m: nn.Linear(dim, hidden_dim)
                for m, dim in dims.items()
                if dim > map_above
            }
        )
        convs = {}
        for m, dim in dims.items():
            width = hidden_dim if m in self.project else dim
            widths = [width] + num_layers * [embedding_dim]
            layers = [
                MMGCNConv(widths[i], widths[i + 1], combine) for i in range(num_layers)
            ]
            nn.init.xavier_normal_(layers[0].lin_out.weight)
            convs[m] = nn.ModuleList(layers)
            self.add_table(f"preference_{m}", num_users, width)
        self.convs = ModalityDict(convs)
        self.add_table("shared", num_users + num_items, embedding_dim)
        self.last_step: LastStep | None = None
        if fidelity == "released":
            self.last_step = LastStep(num_users, num_items, embedding_dim)

    def add_table(self, name: str, rows: int, width: int) -> None:
        """A Xavier-normal table, trained or frozen as the fidelity has it."""
        table = nn.init.xavier_normal_(torch.empty(rows, width))
        if self.fidelity == "released":
            self.register_buffer(name, table)
        else:
            self.register_parameter(name, nn.Parameter(table))

    def preference(self, modality: str) -> Tensor:
        r"""The users' table :math:`\mathbf{P}_m`."""
        table: Tensor = getattr(self, f"preference_{modality}")
        return table

    def encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        out = {}
        for m in self.dims:
            x = take_rows(data[ITEM][feature_key(m)], items)
            out[m] = self.project[m](x) if m in self.project else x
        return out

    def modality_widths(self) -> dict[str, int]:
        return {m: self.preference(m).size(1) for m in self.dims}

    def encoders_learn(self) -> bool:
        return len(self.project) > 0

    def mean_graph(self, data: HeteroData) -> Adjacency:
        r"""The stacked graph :math:`\mathbf{D}^{-1} \mathbf{A}` of training edges."""
        edge_index = data[INTERACTS].edge_index

        def build() -> Adjacency:
            stacked = stack_user_item(edge_index, self.num_users)
            num_nodes = self.num_users + self.num_items
            weight = mean_norm(stacked, num_nodes)
            return Adjacency.from_edge_index(stacked, weight, num_src=num_nodes)

        graph: Adjacency = self.derive("mean graph", (edge_index,), build)
        return graph

    def first_layer(
        self, data: HeteroData, modality: str, z_item: Tensor
    ) -> tuple[Tensor, Tensor]:
        r""":math:`\mathbf{X}_m^{(0)}` and the mean over each node's neighbours."""
        preference = self.preference(modality)

        def build() -> tuple[Tensor, Tensor]:
            x = F.normalize(torch.cat([preference, z_item]), eps=1e-12)
            return x, self.mean_graph(data).matmul(x)

        if preference.requires_grad or z_item is not data[ITEM][feature_key(modality)]:
            return build()
        # A frozen table and raw features: the same in every step.
        of = (preference, z_item, data[INTERACTS].edge_index)
        first: tuple[Tensor, Tensor] = self.derive(("first layer", modality), of, build)
        return first

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        if self.last_step is not None and (stale := self.last_step.embeddings()):
            return stale
        graph, out = self.mean_graph(data), []
        for m, z_item in self.item_modalities(data).items():
            first, *others = cast("list[MMGCNConv]", list(self.convs[m]))
            x, mean = self.first_layer(data, m, z_item)
            x = first.update_nodes(x, mean, self.shared)
            for conv in others:
                x = conv(x, self.shared, graph)
            out.append(x)
        released = self.fidelity == "released"
        z = torch.stack(out).mean(0) if released else torch.stack(out).sum(0)
        z_user, z_item = z.split([self.num_users, self.num_items])
        return z_user, z_item

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        z_user, z_item = self.encode(data)
        user, pos, neg = batch.rows(z_user, z_item)
        terms = {"bpr": bpr_loss((user * pos).sum(-1), (user * neg).sum(-1))}
        if self.last_step is not None:  # no penalty either: the tables are frozen
            self.last_step.keep(z_user, z_item)
            return terms
        shared = self.shared.split([self.num_users, self.num_items])
        user, pos, neg = batch.rows(*shared)
        tables = [self.preference(m) for m in self.dims]
        penalty = mean_square_penalty(user, torch.cat([pos, neg]), *tables)
        return terms | {"reg": self.reg_weight * penalty}

    def __repr__(self) -> str:
        return (
            f"MMGCN({self.num_users}, {self.num_items}, {self.dims}, "
            f"embedding_dim={self.embedding_dim}, num_layers={self.num_layers})"
        )
