"""Some items of a kNN graph with their neighbours, to be looked at."""

from __future__ import annotations

from functools import reduce

import numpy as np

from mmgraph.analysis.report.table import Table
from mmgraph.data import GraphFile, ModalityGraph

#: Items that are shown, and neighbours of each.
ITEMS, NEIGHBOURS = 6, 5


def example_tables(file: GraphFile) -> list[Table]:
    """The nearest neighbours of some items, a table per modality.

    The items are spread evenly over those that have neighbours in every graph; the
    number beside a neighbour is the similarity.

    Args:
        file: Graphs over the same items.

    Example:
        >>> import torch
        >>> edge_index, similarity = torch.tensor([[1, 0], [0, 1]]), torch.ones(2)
        >>> graph = ModalityGraph(edge_index, similarity, similarity, {})
        >>> (table,) = example_tables(GraphFile(2, ["a", "b"], {"visual": graph}))
        >>> table.rows
        [['a', 'b (1.0000)'], ['b', 'a (1.0000)']]
    """
    centres = [graph.edge_index[1].unique().numpy() for graph in file.graphs.values()]
    if not centres:
        return []
    common = reduce(np.intersect1d, centres)
    places = np.unique(np.linspace(0, len(common) - 1, ITEMS).round().astype(int))
    items = common[places].tolist() if len(common) else []
    tables = [_table(name, file, items) for name in file.graphs]
    return [table for table in tables if table.rows]


def _table(name: str, file: GraphFile, items: list[int]) -> Table:
    rows = [
        [_id(file, item), *_neighbours(file, file.graphs[name], item)] for item in items
    ]
    most = max(map(len, rows), default=1)
    columns = ["Item" if file.ids else "Row", *map(str, range(1, most))]
    filled = [row + [""] * (most - len(row)) for row in rows]
    return Table(columns, filled, f"By {name}, nearest first, with the similarity")


def _neighbours(file: GraphFile, graph: ModalityGraph, item: int) -> list[str]:
    edges = (graph.edge_index[1] == item).nonzero().flatten()
    nearest = graph.similarity[edges].argsort(descending=True, stable=True)
    return [
        f"{_id(file, int(graph.edge_index[0, edge]))} ({graph.similarity[edge]:.4f})"
        for edge in edges[nearest[:NEIGHBOURS]]
    ]


def _id(file: GraphFile, row: int) -> str:
    return str(row if file.ids is None else file.ids[row])
