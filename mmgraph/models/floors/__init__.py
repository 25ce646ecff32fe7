"""Systems without training: what a system that learns has to be better than."""

from mmgraph.models.floors.content_knn import ContentKNN
from mmgraph.models.floors.item_knn import ItemKNN
from mmgraph.models.floors.neighbour_floor import NeighbourFloor

__all__ = ["ContentKNN", "ItemKNN", "NeighbourFloor"]
