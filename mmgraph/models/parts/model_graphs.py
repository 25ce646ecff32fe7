"""The graphs that a system reads: frozen ones in the data, and what is made of them."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Hashable
from typing import Any, final

from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from mmgraph.errors import UserError
from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.models.parts.item_features import as_given
from mmgraph.models.parts.tensor_cache import T, TensorCache
from mmgraph.models.plugins.base import Plugin
from mmgraph.schema import (
    CO_INTERACTS,
    INTERACTS,
    ITEM,
    SIMILAR,
    USER,
    EdgeType,
    feature_key,
    mask_key,
    modalities,
)

logger = logging.getLogger(__name__)


class ModelGraphs:
    """Adds the graphs that a system needs to the data, and prepares them for products.

    Graphs arrive with ``data`` at every call. What is computed from them is kept for as
    long as the very same edges come in. A system writes the first three methods.
    """

    #: What may change the features before graphs are built from them.
    plugin: Plugin | None

    def __init__(self) -> None:
        self._cache = TensorCache()
        self._warned_of_graph = False

    def item_graph_transform(self) -> BaseTransform | None:
        """Transform that adds the frozen item graphs this model needs."""
        return None

    def item_graph_types(self) -> list[EdgeType]:
        """Edge types of those graphs that this model reads."""
        return [SIMILAR]

    def user_graph_transform(self) -> BaseTransform | None:
        """Transform that adds the graph of co-occurring users this model needs."""
        return None

    @final
    def has_item_graph(self) -> bool:
        """True if there is a frozen item graph."""
        return self.item_graph_transform() is not None

    def feature_view(self, data: HeteroData) -> HeteroData:
        """``data`` with the features as the encoders are to read them."""
        return data

    @final
    def add_graphs(self, data: HeteroData) -> HeteroData:
        """``data`` with the graphs this model needs; graphs it has are kept.

        The input is not changed, features and edges are shared, and the same features
        never have their graph built twice. Where the model has features of its own,
        they take the place of those of ``data``, once graphs are built of the latter.
        Transforms that change features come before.
        """
        return self.feature_view(self._with_graphs(data))

    def _with_graphs(self, data: HeteroData) -> HeteroData:
        data = self._with_user_graph(data)
        transform = self.item_graph_transform()
        if transform is None:
            return data
        recipe = " ".join(f"{transform} {self.plugin or ''}".split())
        types = self.item_graph_types()
        present = [edge_type for edge_type in types if edge_type in data.edge_types]
        foreign = any(data[edge_type].get("recipe") != recipe for edge_type in present)
        if foreign and not self._warned_of_graph:
            self._warned_of_graph = True
            logger.warning(
                "%s: the data have an item graph, which is used as it is; options "
                "of the model or the plug-in about it have no effect",
                type(self).__name__,
            )
        if present == types:
            return data
        given = as_given(data)
        keys = [key(m) for m in modalities(data) for key in (feature_key, mask_key)]
        features = tuple(given[ITEM][key] for key in keys if key in given[ITEM])

        def build() -> dict[EdgeType, dict[str, Any]]:
            source = given if self.plugin is None else self.plugin.graph_view(given)
            built: HeteroData = transform(source)
            # What a graph was fused of is not read again, and would stay as long.
            return {edge_type: dict(built[edge_type].items()) for edge_type in types}

        built = self.cached(("item graphs", recipe), features, build)
        extended = copy.copy(data)
        for edge_type in types:
            if edge_type not in present:
                for key, value in built[edge_type].items():
                    extended[edge_type][key] = value
                extended[edge_type].recipe = recipe
        return extended

    def _with_user_graph(self, data: HeteroData) -> HeteroData:
        transform = self.user_graph_transform()
        if transform is None or CO_INTERACTS in data.edge_types:
            return data
        built: HeteroData = self.cached(
            ("user graph", repr(transform)),
            (data[INTERACTS].edge_index,),
            lambda: transform(data),
        )
        extended = copy.copy(data)
        for key, value in built[CO_INTERACTS].items():
            extended[CO_INTERACTS][key] = value
        return extended

    def cached(
        self, key: Hashable, sources: tuple[Tensor, ...], build: Callable[[], T]
    ) -> T:
        """The value of ``build()``, kept until one of its source tensors changes.

        What is made of tensors that are trained is made anew, with its gradient.
        """
        if any(source.requires_grad for source in sources):
            return build()
        return self._cache.get(key, sources, build)

    def user_item_graph(self, data: HeteroData) -> Adjacency:
        r"""The stacked graph :math:`D^{-1/2} A D^{-1/2}` of the training edges."""
        edge_index = data[INTERACTS].edge_index
        num_users, num_items = data[USER].num_nodes, data[ITEM].num_nodes
        return self.cached(
            ("user-item", num_users, num_items),
            (edge_index,),
            lambda: Adjacency.user_item(edge_index, num_users, num_items),
        )

    def item_graph(self, data: HeteroData, edge_type: EdgeType = SIMILAR) -> Adjacency:
        """A frozen item graph of ``data``.

        Raises:
            UserError: If ``data`` does not have it.
        """
        store, size = self.graph_store(data, edge_type), data[ITEM].num_nodes
        weight = store.get("edge_weight")
        sources = (store.edge_index,) if weight is None else (store.edge_index, weight)
        return self.cached(
            edge_type,
            sources,
            lambda: Adjacency.from_edge_index(store.edge_index, weight, num_src=size),
        )

    def graph_store(self, data: HeteroData, edge_type: EdgeType) -> Any:
        """The edges of one type.

        Raises:
            UserError: If ``data`` does not have them.
        """
        if edge_type not in data.edge_types:
            raise UserError(
                f"the data have no {edge_type} edges",
                "pass them through model.add_graphs(data) first",
            )
        return data[edge_type]
