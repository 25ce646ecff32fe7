"""Item-item graphs that were built before, from a file."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from mmgraph.data import GraphFile, ids_to_index, read_graph
from mmgraph.errors import UserError
from mmgraph.options import CheckedOptions
from mmgraph.schema import ITEM, similar_edge_type


class AddItemGraphs(CheckedOptions, BaseTransform):
    """Add the graphs of a file as ``('item', 'similar_<modality>', 'item')``.

    Where graph and data have ids, they say which item each row is, and edges are
    ordered by its number; else row = item. An item that the graph lacks has no edge.
    ``edge_weight`` and ``edge_sim`` are those of the file: models take a graph that the
    data have as it is.

    Args:
        graph: A graph file as :func:`mmgraph.data.read_graph` gives it, or its path.

    Raises:
        UserError: If the file is no graph, or its items are not those of the data.

    Example:
        >>> import numpy as np
        >>> import torch
        >>> from mmgraph.data import ModalityGraph
        >>> ones = torch.ones(2)
        >>> graph = ModalityGraph(torch.tensor([[1, 0], [0, 1]]), ones, ones, {"k": 1})
        >>> data = HeteroData()
        >>> data["item"].num_nodes, data["item"].raw_id = 3, np.array([7, 8, 9])
        >>> data = AddItemGraphs(GraphFile(2, [9, 8], {"visual": graph}))(data)
        >>> data["item", "similar_visual", "item"].edge_index
        tensor([[2, 1],
                [1, 2]])
    """

    def __init__(self, graph: GraphFile | str | Path) -> None:
        self.file = graph if isinstance(graph, GraphFile) else read_graph(graph)

    def forward(self, data: HeteroData) -> HeteroData:
        """Return ``data`` with the graphs added.

        Example:
            >>> data = HeteroData()
            >>> data["item"].num_nodes = 2
            >>> AddItemGraphs(GraphFile(3, None, {})).forward(data)
            Traceback (most recent call last):
            mmgraph.errors.UserError: the graph has 3 items, the data 2 - give the \
graph of these items, or one with ids
        """
        item = self._positions(data)
        for name, graph in self.file.graphs.items():
            edges, weight, sim = graph.edge_index, graph.weight, graph.similarity
            if item is not None:
                order = item[edges[1]].argsort(stable=True)
                edges, weight, sim = item[edges[:, order]], weight[order], sim[order]
            store = data[similar_edge_type(name)]
            store.edge_index, store.edge_weight, store.edge_sim = edges, weight, sim
            store.k = graph.facts["k"]
        return data

    def _positions(self, data: HeteroData) -> Tensor | None:
        """Item of the data of each row of the graph; None: row = item."""
        ids, num_items = self.file.ids, int(data[ITEM].num_nodes)
        if ids is None or "raw_id" not in data[ITEM]:
            if self.file.num_items != num_items:
                raise UserError(
                    f"the graph has {self.file.num_items} items, the data {num_items}",
                    "give the graph of these items, or one with ids",
                )
            return None
        return ids_to_index(data, ITEM, ids)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.file.graphs)})"
