"""What attaches to any model with modality encoders, without touching its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

if TYPE_CHECKING:
    from mmgraph.models.base import Recommender
    from mmgraph.models.batch import Batch


class Plugin(nn.Module):
    """Does nothing; CLEAR and SEA override what they need."""

    #: ``"encoder"`` acts on the embeddings, ``"graph"`` on the item graphs.
    where: str = "encoder"
    #: Whether all it does is to train the host's encoders.
    trains_encoders: ClassVar[bool] = False

    def forward(self, z: dict[str, Tensor]) -> dict[str, Tensor]:
        """What the host sees instead of its item embeddings ``{m: [N, d]}``."""
        return z

    def losses(
        self, model: Recommender, data: HeteroData, batch: Batch
    ) -> dict[str, Tensor]:
        """Loss terms beside those of the host."""
        return {}

    def on_epoch_start(self, model: Recommender, data: HeteroData, epoch: int) -> None:
        """Called before the first batch of each epoch, counted from 1."""

    def epoch_measures(self, epoch: int) -> dict[str, float]:
        """Numbers about the start of this epoch for the history, by name."""
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
