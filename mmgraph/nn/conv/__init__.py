"""Message-passing layers on an ``edge_index`` or a prepared ``Adjacency``."""

from mmgraph.nn.conv.bipartite_conv import BipartiteConv
from mmgraph.nn.conv.item_graph_conv import ItemGraphConv
from mmgraph.nn.conv.layer_refined_conv import LayerRefinedConv
from mmgraph.nn.conv.light_gcn_conv import LightGCNConv
from mmgraph.nn.conv.mmgcn_conv import MMGCNConv
from mmgraph.nn.conv.weighted_sum_conv import WeightedSumConv

__all__ = [
    "BipartiteConv",
    "ItemGraphConv",
    "LayerRefinedConv",
    "LightGCNConv",
    "MMGCNConv",
    "WeightedSumConv",
]
