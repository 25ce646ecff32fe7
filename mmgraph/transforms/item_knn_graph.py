"""Item-item similarity graph of one modality."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from mmgraph.functional.graph.normalize import row_sum_norm, symmetric_norm
from mmgraph.knn import knn_graph_by_size
from mmgraph.options import CheckedOptions, PositiveInt
from mmgraph.schema import ITEM, feature_key, mask_key, modalities, similar_edge_type


class ItemKNNGraph(CheckedOptions, BaseTransform):
    r"""Add the kNN graph of a modality as ``('item', 'similar_<modality>', 'item')``.

    Row 0 of ``edge_index`` is the neighbour, row 1 the centre; ``edge_sim`` is the raw
    similarity, ``edge_weight`` what layers multiply with. With weights :math:`w_{ij}`
    (``binary``: 1, ``similarity``: the similarity) of neighbour j of centre i,
    and :math:`s_i = \sum_j w_{ij}`:

    * ``norm="row"``: :math:`w_{ij} / \sqrt{s_i s_j}`, row sums on both ends, so that
      k binary neighbours weigh 1/k each (LATTICE, Zhang et al., ACM MM 2021;
      FREEDOM, Zhou and Shen, ACM MM 2023). A sum that is not positive gives 0;
    * ``norm="sym"``: the neighbour's own out-degree instead of :math:`s_j`;
    * ``norm=None``: :math:`w_{ij}`.

    An item without a feature (a zero row, or False in ``mask_<modality>``) has no
    edges; with ``include_self`` it keeps one, to itself.

    Args:
        modality: Name of the modality.
        k: Neighbours per item.
        metric: ``cosine``, ``ip`` or ``l2``, see :func:`mmgraph.knn.knn_graph`.
        include_self: Let an item be its own neighbour.
        weight: ``binary`` or ``similarity``.
        norm: ``row``, ``sym`` or None.
        backend: Backend of the search. With ``auto``, a catalogue of some hundred
            thousand items on a CPU gets a graph of certified recall, see
            :func:`mmgraph.knn.knn_graph_by_size`; otherwise the graph does not depend
            on it.

    Raises:
        ValueError: An option is unknown, or the data has no such modality.

    Example:
        >>> data = HeteroData()
        >>> data["item"].x_visual = torch.eye(3)
        >>> data = ItemKNNGraph("visual", k=1)(data)
        >>> data["item", "similar_visual", "item"].edge_index
        tensor([[0, 1, 2],
                [0, 1, 2]])
    """

    def __init__(
        self,
        modality: str,
        k: PositiveInt,
        *,
        metric: Literal["cosine", "ip", "l2"] = "cosine",
        include_self: bool = True,
        weight: Literal["binary", "similarity"] = "binary",
        norm: Literal["row", "sym"] | None = "row",
        backend: str = "auto",
    ) -> None:
        self.modality = modality
        self.k = k
        self.metric = metric
        self.include_self = include_self
        self.weight = weight
        self.norm = norm
        self.backend = backend

    def forward(self, data: HeteroData) -> HeteroData:
        """Return ``data`` with the graph added.

        Example:
            >>> data = HeteroData()
            >>> data["item"].x_text = torch.ones(2, 1)
            >>> graph = ItemKNNGraph("text", k=2).forward(data)["similar_text"]
            >>> graph.edge_weight
            tensor([0.5000, 0.5000, 0.5000, 0.5000])
        """
        if self.modality not in modalities(data):
            raise ValueError(
                f"the data has no modality {self.modality!r} (got {modalities(data)})"
            )
        x = data[ITEM][feature_key(self.modality)]
        if mask_key(self.modality) in data[ITEM]:
            x = x.where(data[ITEM][mask_key(self.modality)][:, None], 0)
        edge_index, similarity = knn_graph_by_size(
            x,
            self.k,
            metric=self.metric,
            backend=self.backend,
            include_self=self.include_self,
        )
        if self.include_self:
            edge_index, similarity = self._with_isolated(edge_index, similarity, len(x))
        weight = similarity
        if self.weight == "binary":
            weight = torch.ones_like(similarity)
        if self.norm == "row":
            weight = row_sum_norm(edge_index, weight, len(x))
        elif self.norm == "sym":
            weight = symmetric_norm(edge_index, len(x), edge_weight=weight)
        graph = data[similar_edge_type(self.modality)]
        graph.edge_index = edge_index
        graph.edge_weight = weight
        graph.edge_sim = similarity
        graph.k = self.k
        return data

    def _with_isolated(
        self, edge_index: Tensor, similarity: Tensor, num_items: int
    ) -> tuple[Tensor, Tensor]:
        """Give items without neighbours an edge to themselves."""
        missing = edge_index[1].bincount(minlength=num_items) == 0
        own = missing.nonzero().flatten()
        edge_index = torch.cat([edge_index, own.expand(2, -1)], 1)
        itself = 1.0 if self.metric == "cosine" else 0.0
        similarity = torch.cat([similarity, similarity.new_full(own.shape, itself)])
        order = edge_index[1].argsort(stable=True)
        return edge_index[:, order], similarity[order]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.modality!r}, k={self.k})"
