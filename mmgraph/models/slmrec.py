"""SLMRec."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.functional.distinct_candidates import contrast_with_distinct
from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.normalize import symmetric_norm
from mmgraph.functional.graph.one_sided_propagation import one_sided_propagation
from mmgraph.functional.losses.contrastive import info_nce
from mmgraph.functional.rows import take_rows
from mmgraph.functional.unit_rows import unit_rows
from mmgraph.functional.wide_linear import wide_linear
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.growth import BY_CONTENT
from mmgraph.models.parts.last_step import LastStepEmbeddings
from mmgraph.nn.losses.chained_alignment import ChainedAlignmentLoss
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
)
from mmgraph.schema import INTERACTS

#: Users and items of one propagation.
Tower = tuple[Tensor, Tensor]


class SLMRec(Recommender):
    r"""The system of "Self-Supervised Learning for Multimedia Recommendation" (Tao et
    al., IEEE Transactions on Multimedia 2022).

    .. math::
        \mathbf{H}^{id} = \mathrm{LGN}([\mathbf{E}_U; \mathbf{E}_I]), \qquad
        \mathbf{H}^m = \mathrm{LGN}([\mathbf{E}_U; \mathrm{norm}(\mathbf{X}_m)
        \mathbf{W}_m + \mathbf{b}_m]), \qquad
        \mathbf{z} = \Phi [\mathbf{h}^{id} \Vert \mathbf{h}^1 \Vert \dots]

    with one user embedding for all, LightGCN's mean over the layers, and one map
    :math:`\Phi` for users and one for items. Beside a self-supervised task, the item of
    each user is contrasted with the other items of the batch; no negatives are sampled.

    .. math::
        L = -\frac{1}{B} \sum_b \log \frac{\exp(\cos(\mathbf{z}_{u_b},
        \mathbf{z}_{i_b}) / \tau)}{\sum_c \exp(\cos(\mathbf{z}_{u_b},
        \mathbf{z}_{i_c}) / \tau)} + \alpha L_{ssl}

    * ``"FAC"``, feature alignment and contrasting: the batch's items under the ID and
      then one modality after the other are brought into common spaces, see
      :class:`~mmgraph.nn.losses.ChainedAlignmentLoss`. As in the paper (visual,
      acoustic, textual) the textual one is the last; the others are in the order of the
      data.
    * ``"FD"``, feature dropout: two views, in which every layer drops entries, are
      contrasted, the users' and the items' rows of the batch.
    * ``"FM"``, feature masking: the same with two views that each lack the items' input
      of one randomly drawn propagation.
    * ``"FD+FM"``: both at once.

    Weight decay (of Adam, 1e-4) takes the place of a penalty.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Dimension of each modality's features.
        embedding_dim: Dimension of the embeddings.
        num_layers: Layers of each propagation.
        contrast_temperature: Temperature :math:`\tau` of the contrast.
        ssl_task: The self-supervised task.
        ssl_weight: Weight :math:`\alpha` of the task.
        ssl_temperature: Temperature of the task.
        dropout: Fraction of a layer's entries that is dropped, of the tasks with FD.
        fidelity: ``"released"``: scores are those of the last training step's forward
            pass, one step old. (In the public code FM also mixes its two views in
            layer 0; that is not reproduced.)

    Example:
        >>> SLMRec(3, 5, {"visual": 16}, embedding_dim=8)
        SLMRec(3, 5, {'visual': 16}, embedding_dim=8, num_layers=3, ssl_task='FAC')
    """

    lr = 1e-2
    weight_decay = 1e-4
    multimodal = True
    needs_negatives = False
    main_term = "nce"
    fidelities = ("paper", "released")
    growth = BY_CONTENT

    shown = ("embedding_dim", "num_layers", "ssl_task")

    def __init__(
        self,
        num_users: NodeCount,
        num_items: NodeCount,
        dims: Dims,
        *,
        embedding_dim: Dimension = 64,
        num_layers: LayerCount = 3,
        contrast_temperature: PositiveFloat = 0.2,
        ssl_task: Literal["FAC", "FD", "FM", "FD+FM"] = "FAC",
        ssl_weight: NonNegativeFloat = 0.1,
        ssl_temperature: PositiveFloat = 0.2,
        dropout: DropRatio = 0.3,
        fidelity: Fidelity = "paper",
    ) -> None:
        super().__init__(num_users, num_items, dims, fidelity=fidelity)
        # As in the paper, the textual modality is the last of the chain.
        self.dims = dict(sorted(self.dims.items(), key=lambda m: m[0] == "textual"))
        self.num_layers = num_layers
        self.contrast_temperature = contrast_temperature
        self.ssl_temperature = ssl_temperature
        self.ssl_task, self.ssl_weight = ssl_task, ssl_weight
        self.dropout = dropout if "FD" in ssl_task else 0.0
        self.add_id_embeddings(embedding_dim)
        self.project = linear_maps(self.dims, embedding_dim)
        all_dims = embedding_dim * (1 + len(self.dims))
        self.fuse_users = nn.Linear(all_dims, embedding_dim)
        self.fuse_items = nn.Linear(all_dims, embedding_dim)
        self.align: ChainedAlignmentLoss | None = None
        if ssl_task == "FAC" and ssl_weight:
            self.align = ChainedAlignmentLoss(
                len(self.dims), embedding_dim, ssl_temperature
            )
        self.last_step: LastStepEmbeddings | None = None
        if fidelity == "released":
            self.last_step = LastStepEmbeddings(num_users, num_items, embedding_dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform embeddings and maps, PyTorch's default for the biases."""
        super().reset_parameters()
        for linear in (*self.project.values(), self.fuse_users, self.fuse_items):
            linear.reset_parameters()
            nn.init.xavier_uniform_(linear.weight)
        if self.align is not None:
            self.align.reset_parameters()

    def _encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        out = {}
        for m, linear in self.project.items():
            x = self.item_features(data, m)
            # norm(x) W = (x W) / |x|: lengths are kept, not a second feature matrix.
            length = self.cached(
                ("length", m), (x,), partial(torch.norm, x, dim=1, keepdim=True)
            )
            scale = take_rows(length, items).clamp_min(1e-12)
            out[m] = (
                wide_linear(take_rows(x, items), linear.weight) / scale + linear.bias
            )
        return out

    def inputs(self, data: HeteroData) -> dict[str, Tensor]:
        """The items' rows with which each propagation starts; the ID has no name."""
        return {"": self.item.weight, **self.encode_modalities(data)}

    def towers(
        self, data: HeteroData, inputs: dict[str, Tensor], dropout: float = 0.0
    ) -> dict[str, Tower]:
        """One LightGCN per input, all on the same user embeddings."""
        if dropout:
            return self.towers_with_dropout(data, inputs, dropout)
        to_user, num_layers = self.to_user_graph(data), self.num_layers
        scale = 1 / (num_layers + 1)
        user, to_items = one_sided_propagation(
            self.user.weight * scale, to_user.t(), num_layers
        )
        out = {}
        for name, e_item in inputs.items():
            item, to_users = one_sided_propagation(e_item * scale, to_user, num_layers)
            out[name] = (user + to_users, item + to_items)
        return out

    def towers_with_dropout(
        self, data: HeteroData, inputs: dict[str, Tensor], dropout: float
    ) -> dict[str, Tower]:
        """:meth:`towers` that drop entries of every layer."""
        graph, out = self.user_item_graph(data), {}
        for name, e_item in inputs.items():
            h = x = torch.cat([self.user.weight, e_item])
            for _ in range(self.num_layers):
                x = F.dropout(graph.matmul(x), dropout)
                h = h + x
            out[name] = self.split(h / (self.num_layers + 1))
        return out

    def to_user_graph(self, data: HeteroData) -> Adjacency:
        r"""The user-item half of :math:`\mathbf{D}^{-1/2} \mathbf{A}
        \mathbf{D}^{-1/2}`.
        """
        edge_index = data[INTERACTS].edge_index

        def build() -> Adjacency:
            weight = symmetric_norm(edge_index, self.num_users, self.num_items)
            return Adjacency.bipartite(
                edge_index, self.num_users, self.num_items, weight
            )

        return self.cached("to users", (edge_index,), build)

    def fuse(
        self,
        towers: dict[str, Tower],
        users: Tensor | None = None,
        items: Tensor | None = None,
    ) -> Tower:
        """Final users and items, all or the given rows only."""
        h_user = torch.cat([take_rows(u, users) for u, _ in towers.values()], dim=1)
        h_item = torch.cat([take_rows(i, items) for _, i in towers.values()], dim=1)
        return self.fuse_users(h_user), self.fuse_items(h_item)

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        if self.last_step is not None and (stale := self.last_step.embeddings()):
            return stale
        return self.fuse(self.towers(data, self.inputs(data)))

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        inputs = self.inputs(data)
        towers = self.towers(data, inputs)
        # Only the batch's rows are fused: same values and gradients.
        batch = batch.whole  # each of its rows is contrasted with all others
        items, match = batch.distinct_positives()
        user, item = self.fuse(towers, batch.user, items)
        nce = contrast_with_distinct(
            unit_rows(user), unit_rows(item), match, self.contrast_temperature
        )
        terms = {"nce": nce}
        if self.last_step is not None:
            self.last_step.keep_later(self.all_fused(towers))
        if self.align is not None:
            rows = [take_rows(h_item, items) for _, h_item in towers.values()]
            terms["ssl"] = self.ssl_weight * self.align(rows, match)
        elif self.ssl_weight:
            (user_1, item_1), (user_2, item_2) = (
                self.fuse(view, batch.user, batch.pos_item)
                for view in self.views(data, inputs, towers)
            )
            terms["ssl"] = self.ssl_weight * (
                info_nce(user_1, user_2, self.ssl_temperature, symmetric=False)
                + info_nce(item_1, item_2, self.ssl_temperature, symmetric=False)
            )
        return terms

    def all_fused(self, towers: dict[str, Tower]) -> Callable[[], Tower]:
        """All users and items of this step, to be fused later."""
        towers = {m: (u.detach(), i.detach()) for m, (u, i) in towers.items()}
        maps = copy.deepcopy((self.fuse_users, self.fuse_items))

        def fused() -> Tower:
            sides = zip(*towers.values(), strict=True)
            user, item = (
                linear(torch.cat(side, dim=1))
                for linear, side in zip(maps, sides, strict=True)
            )
            return user, item

        return fused

    def views(
        self, data: HeteroData, inputs: dict[str, Tensor], towers: dict[str, Tower]
    ) -> list[dict[str, Tower]]:
        """Two views of the propagations, by dropout, masking or both."""
        masked: list[str | None] = [None, None]
        if "FM" in self.ssl_task:
            names = list(inputs)
            masked = [names[i] for i in torch.randperm(len(names))[:2].tolist()]
        views = []
        for out in masked:
            changed = {
                name: torch.zeros_like(e_item) if name == out else e_item
                for name, e_item in inputs.items()
                if self.dropout or name == out
            }
            # Propagations that are neither masked nor dropped from are as before.
            views.append(towers | self.towers(data, changed, self.dropout))
        return views
