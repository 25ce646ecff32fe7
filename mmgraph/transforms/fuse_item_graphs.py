"""One item graph out of several."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform
from torch_geometric.utils import coalesce

from mmgraph.errors import UserError
from mmgraph.options import CheckedOptions
from mmgraph.schema import ITEM, SIMILAR, EdgeType, similar_edge_type


class FuseItemGraphs(CheckedOptions, BaseTransform):
    r"""Add :math:`S = \sum_m a_m S_m` as ``('item', 'similar', 'item')``.

    The weighted union of item graphs, the weights of an edge that several have being
    added; ``{"visual": 0.1, "textual": 0.9}`` is FREEDOM's (Eq. 5 of Zhou and Shen,
    ACM MM 2023). Edges are ordered by centre, then neighbour.

    Args:
        coefficients: Coefficient by modality, or by relation name.

    Raises:
        ValueError: No coefficient is given, or the data lacks one of the graphs.

    Example:
        >>> data = HeteroData()
        >>> data["item"].num_nodes = 2
        >>> data["item", "similar_a", "item"].edge_index = torch.tensor([[0], [1]])
        >>> data["item", "similar_b", "item"].edge_index = torch.tensor([[0], [1]])
        >>> data = FuseItemGraphs({"a": 0.25, "b": 0.75})(data)
        >>> data["item", "similar", "item"].edge_weight
        tensor([1.])
    """

    def __init__(self, coefficients: Mapping[str, float]) -> None:
        if not coefficients:
            raise UserError(
                "at least one coefficient is needed (got none)", "give one", owner=""
            )
        self.coefficients = dict(coefficients)

    def forward(self, data: HeteroData) -> HeteroData:
        """Return ``data`` with the fused graph added.

        Example:
            >>> FuseItemGraphs({"a": 1.0}).forward(HeteroData())
            Traceback (most recent call last):
            ValueError: the data has no item graph 'a' (got []): build it first
        """
        indices, weights = [], []
        for name, coefficient in self.coefficients.items():
            graph = data[_edge_type(data, name)]
            indices.append(graph.edge_index)
            weight = graph.get("edge_weight")
            if weight is None:
                weight = torch.ones(graph.num_edges, device=graph.edge_index.device)
            weights.append(coefficient * weight)
        edge_index, edge_weight = coalesce(
            torch.cat(indices, 1),
            torch.cat(weights),
            num_nodes=data[ITEM].num_nodes,
            sort_by_row=False,
        )
        data[SIMILAR].edge_index = edge_index
        data[SIMILAR].edge_weight = edge_weight
        return data

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.coefficients})"


def _edge_type(data: HeteroData, name: str) -> EdgeType:
    for edge_type in (similar_edge_type(name), (ITEM, name, ITEM)):
        if edge_type in data.edge_types:
            return edge_type
    graphs = [rel for src, rel, dst in data.edge_types if src == dst == ITEM]
    raise ValueError(
        f"the data has no item graph {name!r} (got {graphs}): build it first"
    )
