"""ItemKNN."""

from __future__ import annotations

from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.recommend.interaction_cosine import interaction_cosine
from mmgraph.models.floors.neighbour_floor import NeighbourFloor
from mmgraph.options import NodeCount, NonNegativeFloat, PositiveInt
from mmgraph.schema import INTERACTS


class ItemKNN(NeighbourFloor):
    r"""Item-based collaborative filtering from `"Item-based collaborative filtering
    recommendation algorithms" <https://doi.org/10.1145/371920.372071>`_ (Sarwar et
    al., WWW 2001), by cosine.

    .. math::
        \hat{y}_{ui} = \sum_{j \in \mathcal{N}(i)} s_{ij} \, r_{uj}, \qquad
        s_{ij} = \frac{\mathbf{r}_i^\top \mathbf{r}_j}
        {\lVert \mathbf{r}_i \rVert \lVert \mathbf{r}_j \rVert + h}

    Nothing is trained: it is a floor, beside which systems that learn are shown.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        k: Neighbours of each item.
        shrinkage: What :math:`h` adds to the norms, so that few common users count
            less.

    Example:
        >>> ItemKNN(3, 5, k=2)
        ItemKNN(3, 5, k=2)
    """

    reads_features = False

    def __init__(
        self,
        num_users: NodeCount,
        num_items: NodeCount,
        *,
        k: PositiveInt = 50,
        shrinkage: NonNegativeFloat = 0.0,
    ) -> None:
        super().__init__(num_users, num_items)
        self.k, self.shrinkage = k, shrinkage

    def neighbours(self, data: HeteroData) -> Adjacency:
        edge_index = data[INTERACTS].edge_index
        return self.cached("neighbours", (edge_index,), lambda: self._find(edge_index))

    def _find(self, edge_index: Tensor) -> Adjacency:
        edges, cosine = interaction_cosine(
            edge_index, self.num_users, self.num_items, self.k, shrinkage=self.shrinkage
        )
        return Adjacency.from_edge_index(edges, cosine, num_src=self.num_items)
