"""Floors that score an item by the neighbours that the user has seen."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.errors import UserError
from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.recommend.neighbour_scores import neighbour_scores
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.growth import BY_INTERACTIONS
from mmgraph.schema import INTERACTS


class NeighbourFloor(Recommender):
    r"""A system of neighbours alone: :math:`\hat{\mathbf{Y}} = \mathbf{R}
    \mathbf{S}^\top`.

    :math:`\mathbf{R}` holds the training interactions and :math:`\mathbf{S}` the
    similarity of each item to its neighbours, which a subclass finds
    (:meth:`neighbours`). Nothing is trained and nothing is kept: both come with the
    data. So :meth:`encode` gives numbers of users and of items in the place of
    embeddings, and remembers the two matrices for :meth:`score`.

    Args:
        num_users: Number of users.
        num_items: Number of items.

    Example:
        >>> from mmgraph.models import build_model
        >>> data = HeteroData()
        >>> data["user"].num_nodes, data["item"].num_nodes = 2, 3
        >>> data[INTERACTS].edge_index = torch.tensor([[0, 1, 1], [2, 2, 0]])
        >>> model = build_model("ItemKNN", data)
        >>> model.score(*model.encode(data))
        tensor([[0.7071, 0.0000, 0.0000],
                [0.7071, 0.0000, 0.7071]])
    """

    trains = False
    growth = BY_INTERACTIONS
    shown: ClassVar[tuple[str, ...]] = ("k",)

    k: int
    _history: Adjacency | None = None
    _neighbours: Adjacency | None = None

    def neighbours(self, data: HeteroData) -> Adjacency:
        """The matrix of similarities: row = item, columns = its neighbours."""
        raise NotImplementedError

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        """Numbers of users ``[U, 1]`` and of items ``[I, 1]``, int64."""
        edge_index = data[INTERACTS].edge_index
        self._history = self.cached(
            ("history", self.num_users, self.num_items),  # an evaluation's, too
            (edge_index,),
            lambda: Adjacency.bipartite(edge_index, self.num_users, self.num_items),
        )
        self._neighbours = self.neighbours(data)
        users = torch.arange(self.num_users, device=edge_index.device)
        items = torch.arange(self.num_items, device=edge_index.device)
        return users.unsqueeze(1), items.unsqueeze(1)

    def score(self, z_user: Tensor, z_item: Tensor) -> Tensor:
        """Scores ``[B, I]`` of the given users for the given items.

        Raises:
            UserError: Before :meth:`encode`, which brings the data.
        """
        if self._history is None or self._neighbours is None:
            raise UserError(
                f"{type(self).__name__} has seen no data", "call encode(data) first"
            )
        history = self._history.rows(z_user.flatten())
        scores = neighbour_scores(history, self._neighbours)
        whole = z_item.numel() == self.num_items
        return scores if whole else scores[:, z_item.flatten()]

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        """There is none.

        Raises:
            UserError: Always.
        """
        raise UserError(
            f"{type(self).__name__} has nothing to train", "evaluate it as it is"
        )
