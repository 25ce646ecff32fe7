"""DualGNN."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.fixed_neighbors import fixed_neighbors
from mmgraph.functional.losses.bpr import inner_product_bpr
from mmgraph.functional.losses.regularizers import mean_square_penalty
from mmgraph.functional.rows import take_rows
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.growth import BY_PREFERENCES
from mmgraph.models.parts.item_features import encode_features
from mmgraph.models.parts.last_step import LastStepEmbeddings
from mmgraph.nn.encoder import ModalityEncoder, ModalityGraphEncoder
from mmgraph.nn.fusion import UserModalityWeights
from mmgraph.nn.modality_dict import ModalityDict
from mmgraph.options import (
    Dimension,
    Dims,
    Fidelity,
    LayerCount,
    NodeCount,
    NonNegativeFloat,
    PositiveInt,
)
from mmgraph.schema import CO_INTERACTS
from mmgraph.transforms import UserCoOccurrence


class DualGNN(Recommender):
    r"""The system of "DualGNN: Dual Graph Neural Network for Multimedia
    Recommendation" (Wang et al., IEEE TMM 2021).

    .. math::
        \mathbf{H}_m = \sum_{l=0}^{L} \hat{\mathbf{A}}^l
        \mathrm{norm}([\mathbf{P}_m; \mathrm{MLP}_m(\mathbf{X}_m)]), \qquad
        \mathbf{e}_i = \sum_m \mathbf{H}_m[i]

    .. math::
        \mathbf{h}_u = \sum_m w_{u,m} \mathbf{H}_m[u], \qquad
        \mathbf{e}_u = \mathbf{h}_u
        + \sum_{k=1}^{K} a_{uk} \mathbf{h}_{n_{uk}}, \qquad
        a_{uk} = \mathrm{softmax}_k\, c(u, n_{uk})

    .. math::
        L = L_{BPR} + \lambda \big( \textstyle\sum_m \|\mathbf{P}_m[u]\|^2
        + \|\mathbf{w}\|^2 \big) \quad \text{(means of squares)}

    :math:`c(u, v)` counts the items that two users have in common and :math:`n_{uk}`
    are the users with the largest counts. Who has fewer than :math:`K` such neighbours
    fills up by draws among them, anew in each epoch; the seed of the draws is saved
    with the parameters, so that evaluation uses the graph that was trained with.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Dimension of each modality's features.
        embedding_dim: Dimension of the embeddings.
        hidden_dim: Dimension between the two layers of the MLPs.
        num_layers: Layers :math:`L` of the propagation.
        top_users: Neighbours per user in the graph of co-occurring users.
        num_neighbors: Neighbours :math:`K` per user and epoch, taken from those.
        reg_weight: Weight :math:`\lambda` of the penalty.
        fidelity: ``"released"`` is the public code with its accidents: the modalities
            are added up inside the embeddings of the visual one (the first), so that
            the users' fusion reads :math:`\sum_m \mathbf{H}_m[u]` in the place of its
            :math:`\mathbf{H}_1[u]`; BPR has base 2; the penalty also holds weights of
            the items that nothing else uses; and scores are those of the last training
            step's forward pass, one step old.

    Example:
        >>> DualGNN(3, 5, {"visual": 16, "textual": 8}, embedding_dim=8)
        DualGNN(3, 5, {'visual': 16, 'textual': 8}, embedding_dim=8, num_neighbors=40)
    """

    lr = 1e-4
    multimodal = True
    fidelities = ("paper", "released")
    growth = BY_PREFERENCES

    #: Seed of this epoch's draws.
    draw_seed: Tensor

    shown = ("embedding_dim", "num_neighbors")

    def __init__(
        self,
        num_users: NodeCount,
        num_items: NodeCount,
        dims: Dims,
        *,
        embedding_dim: Dimension = 64,
        hidden_dim: Dimension = 256,
        num_layers: LayerCount = 2,
        top_users: PositiveInt = 200,
        num_neighbors: PositiveInt = 40,
        reg_weight: NonNegativeFloat = 0.1,
        fidelity: Fidelity = "paper",
    ) -> None:
        super().__init__(num_users, num_items, dims, fidelity=fidelity)
        self.embedding_dim, self.num_neighbors = embedding_dim, num_neighbors
        self.reg_weight = reg_weight
        self.graph_transform = UserCoOccurrence(top_users)
        self.encoders = ModalityDict(
            {
                m: ModalityEncoder(dim, embedding_dim, hidden_dim, init="default")
                for m, dim in self.dims.items()
            }
        )
        self.propagate = ModalityGraphEncoder(
            num_users, list(self.dims), embedding_dim, num_layers
        )
        self.fuse_users = UserModalityWeights(num_users, len(self.dims))
        self.register_buffer("draw_seed", torch.zeros((), dtype=torch.int64))
        self.last_step: LastStepEmbeddings | None = None
        if fidelity == "released":
            self.unused_item_weights = UserModalityWeights(num_items, len(self.dims))
            self.last_step = LastStepEmbeddings(num_users, num_items, embedding_dim)

    def user_graph_transform(self) -> BaseTransform:
        return self.graph_transform

    def on_epoch_start(
        self, data: HeteroData, epoch: int, generator: torch.Generator
    ) -> None:
        seed = torch.randint(2**31, (), generator=generator, device=generator.device)
        self.draw_seed.copy_(seed)

    def _encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        return encode_features(self.encoders, data, items)

    def user_graph(self, data: HeteroData) -> Adjacency:
        """This epoch's neighbours of each user and their weights.

        Raises:
            UserError: If ``data`` have no graph of co-occurring users.
        """
        store = self.graph_store(data, CO_INTERACTS)
        edge_index, count = store.edge_index, store.edge_count

        def draw() -> Adjacency:
            generator = torch.Generator(edge_index.device)
            generator.manual_seed(int(self.draw_seed))
            edges, weight = fixed_neighbors(
                edge_index,
                count,
                self.num_users,
                self.num_neighbors,
                generator=generator,
            )
            return Adjacency.from_edge_index(edges, weight, num_src=self.num_users)

        return self.cached("drawn users", (edge_index, count, self.draw_seed), draw)

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        if self.last_step is not None and (stale := self.last_step.embeddings()):
            return stale
        h = self.propagate(self.encode_modalities(data), self.user_item_graph(data))
        users = [h_user for h_user, _ in h.values()]
        z_item = reduce(torch.add, (h_item for _, h_item in h.values()))
        if self.released:
            users[0] = reduce(torch.add, users)
        z_user = reduce(torch.add, self.fuse_users.weighted(users))
        return z_user + self.user_graph(data).matmul(z_user), z_item

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        z_user, z_item = self.encode(data)
        user, pos, neg = batch.rows(z_user, z_item)
        base = 2 if self.released else "e"
        bpr = inner_product_bpr(user, pos, neg, base=base)
        squares = [take_rows(p, batch.user) for p in self.propagate.preference.values()]
        squares.append(self.fuse_users.weight)
        if self.released:
            squares.append(self.unused_item_weights.weight)
        if self.last_step is not None:
            self.last_step.keep(z_user, z_item)
        return {"bpr": bpr, "reg": self.reg_weight * mean_square_penalty(*squares)}
