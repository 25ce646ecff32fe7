"""The base of LATTICE and MICRO: item graphs that are learned with the model."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform
from torch_geometric.utils import add_self_loops

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.edge_similarity import edge_cosine
from mmgraph.functional.graph.normalize import mean_norm, row_sum_norm, stack_user_item
from mmgraph.functional.losses.bpr import inner_product_bpr
from mmgraph.functional.losses.regularizers import half_square_penalty
from mmgraph.knn import knn_graph
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.growth import BY_CONTENT
from mmgraph.models.parts.item_features import (
    TrainedFeatures,
    encode_features,
    given_features,
)
from mmgraph.models.parts.item_graph import similarity_graphs
from mmgraph.nn.conv import ItemGraphConv
from mmgraph.nn.encoder import LightGCNEncoder
from mmgraph.nn.modality_dict import linear_maps
from mmgraph.options import (
    Dimension,
    Dims,
    Fidelity,
    Fraction,
    LayerCount,
    NodeCount,
    NonNegativeFloat,
    PositiveInt,
)
from mmgraph.schema import (
    INTERACTS,
    ITEM,
    EdgeType,
    mask_key,
    similar_edge_type,
)

#: ``edge_index`` from neighbour to centre, and a weight per edge.
Edges = tuple[Tensor, Tensor]


class GraphLearner(Recommender):
    r"""A LightGCN whose items also spread over graphs of their projected features.

    .. math::
        \mathbf{F}_m = \mathbf{X}_m \mathbf{W}_m + \mathbf{b}_m, \qquad
        \mathbf{S}_m = (1 - \lambda)\, \mathrm{norm}(\mathrm{kNN}(\mathbf{F}_m))
        + \lambda\, \mathrm{norm}(\mathrm{kNN}(\mathbf{X}_m))

    :math:`\mathrm{kNN}` keeps the :math:`k` largest cosines of each row, the item's own
    among them; :math:`\mathrm{norm}` divides by the roots of both rows' sums. The
    second graph is frozen. The first is rebuilt, with a gradient to
    :math:`\mathbf{W}_m`, at the first batch of each epoch and kept as it is for the
    others; evaluation builds it from the current parameters. Items without a feature
    (masked, or a row of zeros) are their own and only neighbour.

    Only kept cosines are ever computed with a gradient: memory is ``O(k I d)``, values
    and gradients are those of the dense form.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Dimension of each modality's features.
        embedding_dim: Dimension of the embeddings.
        num_layers: Steps over the user-item graph.
        num_item_layers: Steps over the item graphs.
        k: Neighbours per item, itself included.
        raw_weight: Weight :math:`\lambda` of the raw features' graph. At 1 nothing is
            learned.
        reg_weight: Weight of half the squares of the batch's vectors, per triple.
        fidelity: See :class:`~mmgraph.models.lattice.LATTICE`.
    """

    lr = 5e-4
    lr_decay = 0.96
    multimodal = True
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
        raw_weight: Fraction = 0.9,
        reg_weight: NonNegativeFloat = 1e-5,
        fidelity: Fidelity = "paper",
    ) -> None:
        super().__init__(num_users, num_items, dims, fidelity=fidelity)
        self.num_layers = num_layers
        self.k, self.raw_weight, self.reg_weight = k, raw_weight, reg_weight
        self.add_id_embeddings(embedding_dim)
        self.project = linear_maps(self.dims, embedding_dim)
        self.features = TrainedFeatures(num_items, self.dims if self.released else {})
        self.propagate = LightGCNEncoder(num_layers, readout="mean")
        self.smooth = ItemGraphConv(num_item_layers)
        self.learned_graphs: list[Adjacency] | None = None
        self.add_fusion(embedding_dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform embeddings, PyTorch's default for the maps."""
        super().reset_parameters()
        for linear in self.project.values():
            linear.reset_parameters()

    # What a subclass writes -----------------------------------------------------

    def add_fusion(self, embedding_dim: int) -> None:
        """Add the parameters of what brings the modalities together."""
        raise NotImplementedError

    def item_graphs(self, data: HeteroData) -> list[Edges]:
        """The graphs that items spread over, from the current parameters."""
        raise NotImplementedError

    def graph_parameters(self) -> list[nn.Parameter]:
        """Parameters that the learned graphs depend on."""
        return [*self.project.parameters(), *self.features.values()]

    # Graphs ---------------------------------------------------------------------

    def item_graph_transform(self) -> BaseTransform:
        return similarity_graphs(list(self.dims), self.k)

    def item_graph_types(self) -> list[EdgeType]:
        return [similar_edge_type(m) for m in self.dims]

    def on_epoch_start(
        self, data: HeteroData, epoch: int, generator: torch.Generator
    ) -> None:
        self.learned_graphs = None

    def user_item_graph(self, data: HeteroData) -> Adjacency:
        r"""The stacked graph, normalised as the fidelity has it.

        :math:`D^{-1/2} A D^{-1/2}` in the paper, :math:`(D + I)^{-1} (A + I)` in the
        public code.
        """
        if not self.released:
            return super().user_item_graph(data)
        edge_index, users = data[INTERACTS].edge_index, self.num_users
        num_nodes = users + self.num_items

        def build() -> Adjacency:
            stacked = stack_user_item(edge_index, users)
            stacked, _ = add_self_loops(stacked, num_nodes=num_nodes)
            weight = mean_norm(stacked, num_nodes)
            return Adjacency.from_edge_index(stacked, weight, num_src=num_nodes)

        return self.cached("user-item with loops", (edge_index,), build)

    def raw_edges(self, data: HeteroData, modality: str) -> Edges:
        """The frozen graph of the raw features."""
        graph = self.item_graph(data, similar_edge_type(modality))
        return graph.edge_index(), graph.weight.to(self.item.weight.dtype)

    def similar_items(self, data: HeteroData) -> dict[str, Edges]:
        """Each item's nearest items by projected features, with their cosines."""
        out = {}
        for m, z in self.encode_modalities(data).items():
            edge_index = nearest_items(z, self.k, self.observed(data, m))
            out[m] = edge_index, edge_cosine(z, edge_index)
        return out

    def observed(self, data: HeteroData, modality: str) -> Tensor:
        """True where an item has this feature: not masked, and not a row of zeros."""
        # Of the data as given: rows that are trained are zeros no longer.
        x, mask = given_features(data, modality), data[ITEM].get(mask_key(modality))
        # A row of zeros is missing in the raw graph; projected, it would be the bias.
        known = self.cached(("observed", modality), (x,), partial(torch.any, x, dim=1))
        return known if mask is None else known & mask

    def modality_graphs(self, data: HeteroData) -> dict[str, Edges]:
        r"""The graphs :math:`\mathbf{S}_m`."""
        out = {}
        for m, (near, cosine) in self.similar_items(data).items():
            learned = row_sum_norm(near, cosine, self.num_items)
            out[m] = weighted_union(
                [(near, learned), self.raw_edges(data, m)],
                [1.0 - self.raw_weight, self.raw_weight],
            )
        return out

    # Embeddings -----------------------------------------------------------------

    def _encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        return encode_features(self.project, data, items, self.features)

    def encoders_reach_scores(self) -> bool:
        return self.raw_weight < 1.0 and self.smooth.num_layers > 0

    def smooth_items(self, data: HeteroData) -> list[Tensor]:
        r"""Items after each of their graphs, :math:`\mathbf{S}^n \mathbf{E}_I`."""
        e = self.item.weight
        if self.training and self.learned_graphs is not None:
            return [self.smooth(e, graph) for graph in self.learned_graphs]
        graphs = [
            Adjacency.from_edge_index(*edges, num_src=e.size(0))
            for edges in self.item_graphs(data)
        ]
        if self.training:
            self.learned_graphs = [graph.detach() for graph in graphs]
        return [self.smooth(e, graph) for graph in graphs]

    def embeddings(self, data: HeteroData, h: Tensor) -> tuple[Tensor, Tensor]:
        """Users, and items with the direction of ``h`` added."""
        e_0 = self.id_embeddings()
        z_user, z_item = self.split(self.propagate(e_0, self.user_item_graph(data)))
        return z_user, z_item + F.normalize(h, dim=1, eps=1e-12)

    def summed_terms(self) -> tuple[str, ...]:
        return ("reg",) if self.released else ()

    def ranking_terms(
        self, z_user: Tensor, z_item: Tensor, batch: Batch
    ) -> dict[str, Tensor]:
        """BPR and the penalty."""
        user, pos, neg = batch.rows(z_user, z_item)
        released = self.released
        size = 2048 if released else len(user)
        bpr = inner_product_bpr(user, pos, neg)
        if released:
            bpr = bpr + zero_with_gradient(self.graph_parameters())
        penalty = half_square_penalty(user, pos, neg, batch_size=size)
        return {"bpr": bpr, "reg": self.reg_weight * penalty}


def nearest_items(z: Tensor, k: int, observed: Tensor | None = None) -> Tensor:
    """Edges from each item's ``k`` nearest items by cosine, itself among them.

    Args:
        z: Item embeddings ``[I, d]``.
        k: Neighbours per item.
        observed: Mask ``[I]``; where it is False, or the row is zero, an item has one
            edge, to itself, and is in no other list.

    Example:
        >>> nearest_items(torch.eye(2), 1)
        tensor([[0, 1],
                [0, 1]])
    """
    z = z.detach()
    if observed is not None:
        z = z.where(observed[:, None], 0.0)
    edge_index, _ = knn_graph(z, k, include_self=True)
    alone = edge_index[1].bincount(minlength=len(z)) == 0
    own = alone.nonzero().flatten()
    return torch.cat([edge_index, own.expand(2, -1)], dim=1)


def weighted_union(graphs: list[Edges], coefficients: list[float] | Tensor) -> Edges:
    r"""Edges of :math:`\sum_g a_g \mathbf{S}_g`; an edge that several have is repeated.

    Example:
        >>> loop = torch.tensor([[0], [0]]), torch.ones(1)
        >>> weighted_union([loop, loop], [0.25, 0.75])[1]
        tensor([0.2500, 0.7500])
    """
    edge_index = torch.cat([edge_index for edge_index, _ in graphs], dim=1)
    weights = [a * weight for a, (_, weight) in zip(coefficients, graphs, strict=True)]
    return edge_index, torch.cat(weights)


def zero_with_gradient(parameters: list[nn.Parameter]) -> Tensor:
    """A zero that gives all parameters a gradient, of zeros.

    Adam leaves parameters without a gradient alone, but goes on moving those whose
    gradient is zero, by the momentum of earlier ones.

    Example:
        >>> parameter = nn.Parameter(torch.ones(2))
        >>> zero_with_gradient([parameter]).backward()
        >>> parameter.grad
        tensor([0., 0.])
    """
    return 0.0 * torch.stack([p.flatten()[0] for p in parameters]).sum()
