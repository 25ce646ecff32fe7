"""The sampled neighbourhood of each batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch_geometric.data import HeteroData

from mmgraph.errors import UserError
from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.recommend.neighbor_sampling import (
    SampledGraph,
    sample_neighbors,
)
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch


@dataclass(frozen=True)
class BatchSampler:
    """Samples what the users and items of a batch need of the user-item graph.

    Args:
        graph: The stacked graph of the training edges.
        num_users: Number of users, its first nodes.
        num_neighbors: Neighbours of each hop; -1 for all.
    """

    graph: Adjacency
    num_users: int
    num_neighbors: tuple[int, ...]

    def sample(
        self, batch: Batch, generator: torch.Generator | None = None
    ) -> SampledGraph:
        """The neighbourhood of one batch.

        Example:
            >>> graph = Adjacency.user_item(torch.tensor([[0], [1]]), 1, 3)
            >>> batch = Batch(*torch.tensor([[0], [1], [2]]))
            >>> BatchSampler(graph, 1, (5,)).sample(batch).nodes
            tensor([0, 2, 3])
        """
        nodes = batch.nodes(self.num_users)
        return sample_neighbors(self.graph, nodes, self.num_neighbors, generator)


def batch_sampler(
    model: Recommender, train: HeteroData, num_neighbors: tuple[int, ...] | None
) -> BatchSampler | None:
    """The sampler of a training run, where its options ask for one.

    Args:
        model: The model.
        train: Training split.
        num_neighbors: Sampled neighbours of each hop; None for the whole graph.

    Raises:
        UserError: If the model has no loss for that, or another number of layers.

    Example:
        >>> from mmgraph.data import from_interactions
        >>> from mmgraph.models.light_gcn import LightGCN
        >>> data = from_interactions([0, 1], [0, 1])
        >>> batch_sampler(LightGCN(2, 2, num_layers=1), data, (5,)).graph
        Adjacency(4 x 4, 4 edges)
    """
    if num_neighbors is None:
        return None
    name, layers = type(model).__name__, model.sampled_layers()
    if layers is None:
        raise UserError(
            f"{name} trains on the whole graph, not on sampled neighbours",
            "leave sampled_neighbors out, or choose LightGCN",
        )
    if len(num_neighbors) != layers:
        raise UserError(
            f"sampled_neighbors has {len(num_neighbors)} numbers, {name} {layers} "
            "layers",
            "give one per layer",
        )
    return BatchSampler(model.user_item_graph(train), model.num_users, num_neighbors)
