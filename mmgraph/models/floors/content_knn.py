"""ContentKNN."""

from __future__ import annotations

from typing import Literal

import torch
from torch_geometric.data import HeteroData

from mmgraph.errors import UserError
from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.models.floors.neighbour_floor import NeighbourFloor
from mmgraph.models.parts.content_neighbours import (
    comparable_features,
    nearest_items,
    weighted_union,
)
from mmgraph.models.parts.growth import BY_CONTENT
from mmgraph.models.parts.item_graph import checked_weights
from mmgraph.options import Dims, Fraction, ModalityWeights, NodeCount, PositiveInt
from mmgraph.schema import ITEM, feature_key, mask_key


class ContentKNN(NeighbourFloor):
    r"""Nearest neighbours by content: the user's items bring their look-alikes.

    .. math::
        \hat{y}_{ui} = \sum_{j} s_{ij} \, r_{uj}, \qquad
        \mathbf{S} = \sum_m \alpha_m \mathbf{S}^m

    with the cosines :math:`\mathbf{S}^m` of each item's nearest in modality :math:`m`,
    whose features are centred and brought to one scale. Nothing is trained: it is a
    floor, beside which systems that learn are shown.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Dimension of each modality's features.
        modality: The one modality to go by; all of them by default.
        k: Neighbours of each item.
        fuse: ``"graphs"``: a graph per modality, then their weighted union;
            ``"features"``: one graph of all features side by side.
        visual_weight: Weight :math:`\alpha` of ``visual`` in the union, where the
            others share the rest; without a modality of that name all get the same.
        modality_weights: Weights :math:`\alpha_m` of all modalities by name, in place
            of ``visual_weight``; without effect where one modality alone counts.

    Example:
        >>> ContentKNN(3, 5, {"visual": 16}, k=2)
        ContentKNN(3, 5, {'visual': 16}, k=2)
    """

    multimodal = True
    growth = BY_CONTENT

    def __init__(
        self,
        num_users: NodeCount,
        num_items: NodeCount,
        dims: Dims,
        *,
        modality: str | None = None,
        k: PositiveInt = 10,
        fuse: Literal["graphs", "features"] = "graphs",
        visual_weight: Fraction = 0.1,
        modality_weights: ModalityWeights | None = None,
    ) -> None:
        super().__init__(num_users, num_items, dims)
        if modality is not None and modality not in self.dims:
            raise UserError(
                f"'modality' must be one of {', '.join(self.dims)} (got {modality!r})",
                "name a modality of the data",
                owner="",
            )
        self.k, self.fuse = k, fuse
        self.weights = checked_weights(list(self.dims), modality_weights, visual_weight)
        if modality is not None:
            self.weights = {modality: 1.0}

    def neighbours(self, data: HeteroData) -> Adjacency:
        keys = [key(m) for m in self.weights for key in (feature_key, mask_key)]
        features = tuple(data[ITEM][key] for key in keys if key in data[ITEM])
        return self.cached("neighbours", features, lambda: self._find(data))

    def _find(self, data: HeteroData) -> Adjacency:
        x = {m: comparable_features(data, m) for m in self.weights}
        if self.fuse == "features":
            return nearest_items(torch.cat(list(x.values()), dim=1), self.k)
        graphs = {m: nearest_items(features, self.k) for m, features in x.items()}
        return weighted_union(graphs, self.weights)
