"""Transforms of ``HeteroData``: item graphs, user graphs, projections."""

from mmgraph.transforms.add_item_graphs import AddItemGraphs
from mmgraph.transforms.fuse_item_graphs import FuseItemGraphs
from mmgraph.transforms.item_knn_graph import ItemKNNGraph
from mmgraph.transforms.null_space_projection import NullSpaceProjection
from mmgraph.transforms.per_user_split import PerUserSplit
from mmgraph.transforms.prune_edges import PruneEdges
from mmgraph.transforms.replace_features import ReplaceFeatures
from mmgraph.transforms.user_co_occurrence import UserCoOccurrence

__all__ = [
    "AddItemGraphs",
    "FuseItemGraphs",
    "ItemKNNGraph",
    "NullSpaceProjection",
    "PerUserSplit",
    "PruneEdges",
    "ReplaceFeatures",
    "UserCoOccurrence",
]
