"""The sum over neighbours that every propagation layer here is made of."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import is_sparse, spmm, to_edge_index

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.options import CheckedOptions

Graph = Tensor | Adjacency
#: Features of one node set, or of the sources and targets of a bipartite graph.
Features = Tensor | tuple[Tensor, Tensor | None]


class WeightedSumConv(CheckedOptions, MessagePassing):
    r"""Weighted sum of the neighbours, without parameters.

    .. math::
        \mathbf{x}^{\prime}_i = \sum_{j \in \mathcal{N}(i)} w_{ji} \mathbf{x}_j

    The graph is an ``edge_index`` (an ordinary PyG layer), a sparse tensor, or a
    prepared :class:`~mmgraph.functional.Adjacency`, which takes the fused path
    with the same result.

    Shapes:
        - **input:** node features :math:`(|\mathcal{V}|, F)`, or a pair of source and
          target features for a bipartite graph,
          edge indices :math:`(2, |\mathcal{E}|)`,
          edge weights :math:`(|\mathcal{E}|)` *(optional)*
        - **output:** node features :math:`(|\mathcal{V}_t|, F)`

    Example:
        >>> import torch
        >>> conv = WeightedSumConv()
        >>> conv(torch.ones(3, 2), torch.tensor([[0, 1], [2, 2]]))
        tensor([[0., 0.],
                [0., 0.],
                [2., 2.]])
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("aggr", "add")
        super().__init__(**kwargs)
        # PyG takes a base class's compiled propagate for the original one of a
        # subclass; an explainer, which masks messages, then finds none.
        type(self)._orig_propagate = MessagePassing.propagate

    def forward(
        self,
        x: Features,
        edge_index: Graph,
        edge_weight: Tensor | None = None,
        size: tuple[int, int] | None = None,
    ) -> Tensor:
        if isinstance(edge_index, Adjacency):
            return self.message_and_aggregate(edge_index, x)
        if isinstance(x, Tensor):
            x = (x, x) if size is None else (x, None)
        result: Tensor = self.propagate(
            edge_index, x=x, edge_weight=edge_weight, size=size
        )
        return result

    def message(self, x_j: Tensor, edge_weight: Tensor | None) -> Tensor:
        return x_j if edge_weight is None else edge_weight.view(-1, 1) * x_j

    def message_and_aggregate(self, adj_t: Graph, x: Features) -> Tensor:
        source = x if isinstance(x, Tensor) else x[0]
        if isinstance(adj_t, Adjacency):
            return adj_t.matmul(source)
        result: Tensor = spmm(adj_t, source, reduce="sum")
        return result


def target_features(x: Features) -> Tensor:
    """Features of the targets.

    Raises:
        ValueError: If a bipartite graph's targets have none.
    """
    target = x if isinstance(x, Tensor) else x[1]
    if target is None:
        raise ValueError("the targets have no features, which this layer needs")
    return target


def edge_list(
    graph: Tensor, edge_weight: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """A sparse tensor's edges and weights; an ``edge_index`` as it is."""
    if not is_sparse(graph):
        return graph, edge_weight
    transposed, weight = to_edge_index(graph)  # its rows are the targets
    return transposed.flip(0), weight
