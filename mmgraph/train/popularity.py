"""The floor of every leaderboard: the same most popular items for everyone."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.models.base import Recommender
from mmgraph.schema import INTERACTS, ITEM, USER


class Popularity(Recommender):
    """Ranks items by their number of training interactions, ties by item index.

    A system that does not beat it has not learned anything about the single user.

    Args:
        num_users: Number of users.
        degree: Training interactions of each item ``[I]``.

    Example:
        >>> data = HeteroData()
        >>> data["user"].num_nodes, data["item"].num_nodes = 2, 3
        >>> data[INTERACTS].edge_index = torch.tensor([[0, 1, 1], [2, 2, 0]])
        >>> model = Popularity.from_data(data)
        >>> model.score(*model.encode(data)).argsort(descending=True)[0]
        tensor([2, 0, 1])
    """

    shown = ()

    #: Minus the rank of each item ``[I, 1]``.
    minus_rank: Tensor

    def __init__(self, num_users: int, degree: Tensor) -> None:
        super().__init__(num_users, degree.numel())
        order = degree.argsort(descending=True, stable=True)
        # Ranks, not degrees, so that no two items tie.
        rank = torch.empty(degree.numel(), 1, device=degree.device)
        rank[order, 0] = torch.arange(degree.numel(), device=degree.device).float()
        self.register_buffer("minus_rank", -rank)

    @classmethod
    def from_data(cls, data: HeteroData, **options: Any) -> Self:
        """Count the training interactions of ``data``."""
        item = data[INTERACTS].edge_index[1]
        degree = torch.bincount(item, minlength=data[ITEM].num_nodes)
        return cls(data[USER].num_nodes, degree, **options)

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        """Ones ``[U, 1]`` and minus the rank of each item ``[I, 1]``."""
        return self.minus_rank.new_ones(self.num_users, 1), self.minus_rank
