"""The interface of plug-ins, which attach to any system with modality encoders."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.errors import UserError
from mmgraph.models.batch import Batch
from mmgraph.options import CheckedOptions, Dims, shown

#: Item embeddings per modality as the host's encoders give them, before any plug-in,
#: of the given rows or of all items.
Encode = Callable[[Tensor | None], dict[str, Tensor]]


class Host(Protocol):
    """The system that a plug-in is to attach to, as far as it has to be known."""

    built_in: ClassVar[str | None]

    def plugin_dims(self, where: str) -> dict[str, int]:
        """Dimension of each modality in what a plug-in acts on."""

    def has_encoders(self) -> bool:
        """True if there are modality encoders."""

    def encoders_reach_scores(self) -> bool:
        """True if the modality encoders can change a score."""

    def encoders_learn(self) -> bool:
        """True if the modality encoders have something to train."""

    def has_item_graph(self) -> bool:
        """True if there is a frozen item graph."""


class Plugin(CheckedOptions, nn.Module):
    """Changes nothing; a subclass overrides what it needs.

    Args:
        dims: Dimension of each modality's embeddings, or of its features for a plug-in
            that acts on the item graph.
    """

    sizes = ("dims",)
    #: Its name in tables of systems.
    name: ClassVar[str] = ""
    #: ``"encoder"`` acts on the embeddings, ``"graph"`` on the item graphs.
    where: Literal["encoder", "graph"] = "encoder"
    #: True if all it does is to train the host's encoders.
    trains_encoders: ClassVar[bool] = False

    def __init__(self, dims: Dims) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, z: dict[str, Tensor]) -> dict[str, Tensor]:
        """Item embeddings ``{m: [N, d]}`` as the host is to see them."""
        return z

    def losses(
        self, encode: Encode, data: HeteroData, batch: Batch
    ) -> dict[str, Tensor]:
        """Loss terms beside those of the host."""
        return {}

    def on_epoch_start(self, encode: Encode, data: HeteroData, epoch: int) -> None:
        """Called before the first batch of each epoch, counted from 1.

        ``encode`` is then in evaluation mode and makes no gradients.
        """

    def epoch_measures(self, epoch: int) -> dict[str, float]:
        """Numbers about this epoch for the history, by name."""
        return {}

    def evaluation_measures(self, encode: Encode, data: HeteroData) -> dict[str, float]:
        """Numbers about the present parameters for the history, at each evaluation.

        ``encode`` is then in evaluation mode and makes no gradients.
        """
        return {}

    def graph_view(self, data: HeteroData) -> HeteroData:
        """The data from which the host's item graphs are built."""
        return data

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        """Parameters that the plug-in's own optimisers move."""
        return []

    def auxiliary_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Optimisers that the plug-in steps by itself."""
        return {}


def check_plugin(host: Host, plugin: Plugin) -> None:
    """Refuse what is no plug-in, or none for this host.

    Args:
        host: The system.
        plugin: The plug-in.

    Raises:
        TypeError: If it is something else.
        UserError: If it could change nothing, or has other dimensions than the host.
    """
    if not isinstance(plugin, Plugin):
        raise TypeError(f"a plug-in must be a Plugin or None (got {shown(plugin)})")
    check_host(host, type(plugin), plugin.where)
    dims = host.plugin_dims(plugin.where)
    if plugin.dims != dims:
        raise UserError(
            f"{type(plugin).__name__} is for dimensions {plugin.dims}, "
            f"{type(host).__name__} has {dims}",
            "attach it by its class: model.attach(...)",
        )


def check_host(host: Host, plugin: type[Plugin], where: str) -> None:
    """Refuse a host on which a plug-in could change nothing.

    Args:
        host: The system.
        plugin: Class of the plug-in.
        where: What it is to act on, ``"encoder"`` or ``"graph"``.

    Raises:
        UserError: If the host has the plug-in built in, or nothing for it to act on.
    """
    name = type(host).__name__
    if host.built_in is not None and host.built_in == plugin.name:
        raise UserError(f"{name} has this plug-in built in", "leave it out")
    if not host.has_encoders():
        raise UserError(
            f"{name} has no modality encoders for the plug-in",
            "choose a system with features, VBPR for example",
        )
    if where == "graph" and not host.has_item_graph():
        raise UserError(
            f"{name} has no item graph for the plug-in", "set where=encoder"
        )
    if where == "encoder" and not host.encoders_reach_scores():
        raise UserError(
            f"with these options the modality encoders of {name} do not reach its "
            "scores, so the plug-in could change nothing",
            "give the weight of their loss terms a value above 0",
        )
    if plugin.trains_encoders and not host.encoders_learn():
        raise UserError(
            f"{name} takes these features as they are, so the plug-in could train "
            "nothing",
            "set map_above=0",
        )
