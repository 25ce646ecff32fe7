"""The interface that every system shares."""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from mmgraph.errors import UserError
from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.normalize import stack_user_item, symmetric_norm
from mmgraph.models.batch import Batch
from mmgraph.models.parts.item_features import TrainedFeatures
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


class Recommender(nn.Module):
    """A system that embeds users and items of a ``HeteroData``.

    A subclass is built from numbers and implements :meth:`encode` and :meth:`loss`;
    those with modality encoders implement :meth:`encode_modalities`, which is where
    the plug-ins attach. Graphs arrive with ``data`` at every call; what is derived
    from them is kept for as long as the very same edges come in.
    """

    #: Adam's step size when the trainer is not told otherwise.
    lr: ClassVar[float] = 1e-3
    #: Adam's weight decay when the trainer is not told otherwise.
    weight_decay: ClassVar[float] = 0.0
    #: Whether it shrinks the parameters themselves (AdamW) and not the gradients.
    decoupled_weight_decay: ClassVar[bool] = False
    #: Factor of the step size per 50 epochs when the trainer is not told otherwise.
    lr_decay: ClassVar[float] = 1.0
    #: False for systems that learn from positives alone.
    needs_negatives: ClassVar[bool] = True
    #: Whether the constructor wants the widths of the item features.
    multimodal: ClassVar[bool] = False
    #: Name of the plug-in that would do once more what the system does by itself.
    built_in: ClassVar[str | None] = None
    #: ``"released"`` too, for systems whose public code behaves otherwise.
    fidelities: ClassVar[tuple[str, ...]] = ("paper",)

    #: Width of each modality's features, of multimodal systems.
    dims: dict[str, int]

    def __init__(self) -> None:
        super().__init__()
        self.plugin: Plugin | None = None
        self._told = False
        self._derived: dict[Any, tuple[tuple[Tensor, ...], tuple[int, ...], Any]] = {}

    # What a subclass writes -----------------------------------------------------

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        """Final embeddings of all users ``[U, d]`` and all items ``[I, d]``."""
        raise NotImplementedError

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        """Named scalar terms of one batch; their sum is minimised."""
        raise NotImplementedError

    def encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Item embeddings per modality, of all items or of the given rows."""
        raise UserError(
            f"{type(self).__name__} has no modality encoders",
            "choose a multimodal model for this plug-in",
        )

    def encoders_reach_scores(self) -> bool:
        """Whether the modality encoders can change a score, now or by training."""
        return True

    def encoders_learn(self) -> bool:
        """Whether the modality encoders have anything to train."""
        return True

    def modality_widths(self) -> dict[str, int]:
        """Widths of what :meth:`encode_modalities` returns."""
        raise NotImplementedError

    def item_graph_transform(self) -> BaseTransform | None:
        """Transform that adds the frozen item graphs this model needs."""
        return None

    def item_graph_types(self) -> list[EdgeType]:
        """Edge types of those graphs that this model reads."""
        return [SIMILAR]

    def user_graph_transform(self) -> BaseTransform | None:
        """Transform that adds the graph of co-occurring users this model needs."""
        return None

    def pretrain(self, data: HeteroData, generator: torch.Generator) -> None:
        """Called once, before the first epoch of a run."""

    def on_epoch_start(
        self, data: HeteroData, epoch: int, generator: torch.Generator
    ) -> None:
        """Called before the first batch of each epoch, counted from 1."""
        if self.plugin is not None:
            self.plugin.on_epoch_start(self, data, epoch)

    def epoch_measures(self, epoch: int) -> dict[str, float]:
        """Numbers about the start of this epoch for the history, by name.

        Empty for most systems, and in epochs in which nothing was measured.
        """
        return {} if self.plugin is None else self.plugin.epoch_measures(epoch)

    def score(self, z_user: Tensor, z_item: Tensor) -> Tensor:
        """Scores ``[B, I]`` of the given users for the given items."""
        return z_user @ z_item.t()

    # What every system shares ---------------------------------------------------

    def check_fidelity(self, fidelity: str) -> str:
        """The fidelity itself, if this system has it.

        Raises:
            ValueError: If it does not.
        """
        if fidelity not in self.fidelities:
            raise ValueError(
                f"'fidelity' must be one of {self.fidelities} (got {fidelity!r})"
            )
        return fidelity

    @classmethod
    def from_data(cls, data: HeteroData, **options: Any) -> Self:
        """Build the model for the users, items and modalities of ``data``.

        Raises:
            UserError: If a multimodal model gets no item features.
        """
        sizes: dict[str, Any] = {
            "num_users": data[USER].num_nodes,
            "num_items": data[ITEM].num_nodes,
        }
        if cls.multimodal:
            names = modalities(data)
            if not names:
                raise UserError(
                    f"{cls.__name__} needs item features and the data have none",
                    "add features, or choose MF-BPR or LightGCN",
                )
            sizes["dims"] = {m: data[ITEM][feature_key(m)].size(1) for m in names}
        model = cls(**sizes, **options)
        for part in model.modules():
            if isinstance(part, TrainedFeatures):
                part.copy_from(data)
        return model

    @classmethod
    def option_defaults(cls) -> dict[str, Any]:
        """The keyword-only options of the constructor and their defaults."""
        parameters = inspect.signature(cls.__init__).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def training_loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        """:meth:`loss` and the terms of the plug-in."""
        terms = self.loss(data, batch)
        if self.plugin is not None:
            terms |= self.plugin.losses(self, data, batch)
        return terms

    def item_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        """:meth:`encode_modalities` as the plug-in leaves it."""
        z = self.encode_modalities(data, items)
        return z if self.plugin is None else self.plugin(z)

    def has_encoders(self) -> bool:
        """Whether a plug-in can attach."""
        return type(self).encode_modalities is not Recommender.encode_modalities

    def main_parameters(self) -> list[nn.Parameter]:
        """Parameters of the main optimiser: all but those with one of their own."""
        own = {id(parameter) for parameter in self.auxiliary_parameters()}
        return [p for p in self.parameters() if id(p) not in own and p.requires_grad]

    def parameter_groups(self) -> list[dict[str, Any]]:
        """:meth:`main_parameters` as Adam takes them.

        A group's ``lr_share`` multiplies the trainer's step size (default: 1).
        """
        return [{"params": self.main_parameters()}]

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        """Parameters that :meth:`auxiliary_optimizers` move."""
        return [] if self.plugin is None else self.plugin.auxiliary_parameters()

    def auxiliary_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Optimisers that parts of the model step by themselves."""
        return {} if self.plugin is None else self.plugin.auxiliary_optimizers()

    def prepare(self, data: HeteroData) -> HeteroData:
        """``data`` with the graphs this model needs; graphs it has are kept.

        The input is not changed, features and edges are shared, and the same features
        never have their graph built twice.
        """
        data = self._with_user_graph(data)
        transform = self.item_graph_transform()
        if transform is None:
            return data
        recipe = " ".join(f"{transform} {self.plugin or ''}".split())
        wanted = self.item_graph_types()
        found = [edge_type for edge_type in wanted if edge_type in data.edge_types]
        foreign = any(data[edge_type].get("recipe") != recipe for edge_type in found)
        if foreign and not self._told:
            self._told = True
            logger.warning(
                "%s: the data have an item graph, which is used as it is; options "
                "of the model or the plug-in about it have no effect",
                type(self).__name__,
            )
        if found == wanted:
            return data
        keys = [key(m) for m in modalities(data) for key in (feature_key, mask_key)]
        features = tuple(data[ITEM][key] for key in keys if key in data[ITEM])

        def build() -> HeteroData:
            source = data if self.plugin is None else self.plugin.graph_view(data)
            built: HeteroData = transform(source)
            return built

        built = self.derive("item graphs", features, build)
        prepared = copy.copy(data)
        for edge_type in built.edge_types:
            if edge_type not in data.edge_types:
                for key, value in built[edge_type].items():
                    prepared[edge_type][key] = value
                if edge_type in wanted:
                    prepared[edge_type].recipe = recipe
        return prepared

    def _with_user_graph(self, data: HeteroData) -> HeteroData:
        transform = self.user_graph_transform()
        if transform is None or CO_INTERACTS in data.edge_types:
            return data
        built: HeteroData = self.derive(
            ("user graph", repr(transform)),
            (data[INTERACTS].edge_index,),
            lambda: transform(data),
        )
        prepared = copy.copy(data)
        for key, value in built[CO_INTERACTS].items():
            prepared[CO_INTERACTS][key] = value
        return prepared

    def derive(self, key: Any, of: tuple[Tensor, ...], build: Callable[[], Any]) -> Any:
        """What ``build()`` returns, until one of the tensors it came from changes."""
        # Inference tensors keep no count of changes: they cannot be changed in place.
        versions = tuple(0 if t.is_inference() else t._version for t in of)
        if key in self._derived:
            tensors, seen, value = self._derived[key]
            same = len(tensors) == len(of) and all(
                a is b for a, b in zip(tensors, of, strict=True)
            )
            if same and seen == versions:
                return value
        value = build()
        self._derived[key] = (of, versions, value)
        return value

    def user_item_graph(self, data: HeteroData) -> Adjacency:
        r"""The stacked graph :math:`D^{-1/2} A D^{-1/2}` of the training edges."""
        edge_index = data[INTERACTS].edge_index
        num_users, num_items = data[USER].num_nodes, data[ITEM].num_nodes
        return self.derive(
            ("user-item", num_users, num_items),
            (edge_index,),
            lambda: user_item_adjacency(edge_index, num_users, num_items),
        )

    def item_graph(self, data: HeteroData, edge_type: EdgeType = SIMILAR) -> Adjacency:
        """A frozen item graph of ``data``.

        Raises:
            UserError: If ``data`` does not have it.
        """
        if edge_type not in data.edge_types:
            raise UserError(
                f"the data have no {edge_type} edges",
                "pass them through model.prepare(data) first",
            )
        store, size = data[edge_type], data[ITEM].num_nodes
        weight = store.get("edge_weight")
        of = (store.edge_index,) if weight is None else (store.edge_index, weight)
        return self.derive(
            edge_type,
            of,
            lambda: Adjacency.from_edge_index(store.edge_index, weight, num_src=size),
        )


def user_item_adjacency(
    edge_index: Tensor, num_users: int, num_items: int
) -> Adjacency:
    r"""Stacked, symmetrically normalised user-item graph without self-loops.

    Args:
        edge_index: User (row 0) and item (row 1) of each interaction.
        num_users: Number of users; they come first.
        num_items: Number of items.

    Example:
        >>> user_item_adjacency(torch.tensor([[0, 1], [0, 0]]), 2, 1)
        Adjacency(3 x 3, 4 edges)
    """
    stacked = stack_user_item(edge_index, num_users)
    num_nodes = num_users + num_items
    weight = symmetric_norm(stacked, num_nodes)
    return Adjacency.from_edge_index(stacked, weight, num_src=num_nodes)
