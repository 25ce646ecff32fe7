"""Nearest items by features: of one modality, or of several graphs together."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.knn import knn_graph
from mmgraph.schema import ITEM, feature_key, mask_key


def comparable_features(data: HeteroData, modality: str) -> Tensor:
    """The features of a modality, centred and of mean squared length 1.

    So a part that all items share says nothing, and no modality outweighs another by
    its scale where several are put together. An item without a feature (a zero row,
    or False in its mask) keeps a zero row and does not count.

    Args:
        data: The data.
        modality: Name of the modality.

    Shapes:
        - **output:** :math:`(I, D_m)`, in float64

    Example:
        >>> data = HeteroData({"item": {"x_visual": torch.tensor([[1.0], [3], [0]])}})
        >>> comparable_features(data, "visual").flatten()
        tensor([-1.,  1.,  0.], dtype=torch.float64)
    """
    store = data[ITEM]
    x: Tensor = store[feature_key(modality)].double()
    present = x.any(dim=1)
    if mask_key(modality) in store:
        present &= store[mask_key(modality)]
    count = max(1, int(present.sum()))
    x = torch.where(present[:, None], x, 0.0)
    x = torch.where(present[:, None], x - x.sum(dim=0) / count, 0.0)
    length = (x.square().sum() / count).sqrt()
    return x / length if length > 0 else x


def nearest_items(x: Tensor, k: int) -> Adjacency:
    """The ``k`` nearest items of each by cosine: row = item, columns = its neighbours.

    Each weighs as much as its cosine, one below 0 nothing.

    Args:
        x: Features ``[I, D]``.
        k: Neighbours per item, the item itself left out.

    Example:
        >>> nearest = nearest_items(torch.tensor([[1.0, 0], [1, 1], [-1, 1]]), k=1)
        >>> nearest.edge_index().tolist(), nearest.weight
        ([[1, 0, 1], [0, 1, 2]], tensor([0.7071, 0.7071, 0.0000]))
    """
    edge_index, cosine = knn_graph(x.float(), k)
    weight = cosine.clamp_min(0.0)
    return Adjacency.from_edge_index(edge_index, weight, num_src=x.size(0))


def weighted_union(
    graphs: Mapping[str, Adjacency], weights: Mapping[str, float]
) -> Adjacency:
    r"""The graph :math:`\sum_m w_m \mathbf{S}^m`.

    Args:
        graphs: The graph of each modality.
        weights: The weight of each; one of weight 0 is left out.

    Example:
        >>> graph = nearest_items(torch.eye(2) + 1, 1)
        >>> weighted_union({"a": graph, "b": graph}, {"a": 0.5, "b": 0.25})
        Adjacency(2 x 2, 4 edges)
    """
    used = [m for m in graphs if weights[m]]
    edges = torch.cat([graphs[m].edge_index() for m in used], dim=1)
    weight = torch.cat([weights[m] * graphs[m].weight for m in used])
    num_items = graphs[used[0]].num_dst
    return Adjacency.from_edge_index(edges, weight, num_src=num_items)
