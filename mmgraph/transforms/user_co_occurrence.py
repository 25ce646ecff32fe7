"""User-user graph of common items."""

from __future__ import annotations

from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from mmgraph.functional.graph.co_occurrence import co_occurrence
from mmgraph.options import CheckedOptions, PositiveInt
from mmgraph.schema import CO_INTERACTS, INTERACTS, ITEM, USER


class UserCoOccurrence(CheckedOptions, BaseTransform):
    """Add ``('user', 'co_interacts', 'user')``: who has training items in common.

    ``edge_index`` has the neighbour in row 0 and the centre in row 1, ordered by
    centre, then count descending, then neighbour; ``edge_count`` is the number of
    common items. See :func:`mmgraph.functional.graph.co_occurrence.co_occurrence`.

    Args:
        top: Neighbours to keep per user.

    Raises:
        ValueError: ``top`` is below 1.

    Example:
        >>> import torch
        >>> data = HeteroData()
        >>> data["user"].num_nodes, data["item"].num_nodes = 2, 1
        >>> edge_index = torch.tensor([[0, 1], [0, 0]])
        >>> data["user", "interacts", "item"].edge_index = edge_index
        >>> UserCoOccurrence(top=5)(data)["co_interacts"].edge_count
        tensor([1, 1])
    """

    def __init__(self, top: PositiveInt = 200) -> None:
        self.top = top

    def forward(self, data: HeteroData) -> HeteroData:
        """Return ``data`` with the graph added.

        Example:
            >>> UserCoOccurrence(top=200)
            UserCoOccurrence(top=200)
        """
        edge_index, count = co_occurrence(
            data[INTERACTS].edge_index,
            data[USER].num_nodes,
            data[ITEM].num_nodes,
            top=self.top,
        )
        data[CO_INTERACTS].edge_index = edge_index
        data[CO_INTERACTS].edge_count = count
        return data

    def __repr__(self) -> str:
        return f"{type(self).__name__}(top={self.top})"
