"""CLEAR on any host."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.functional.redundancy.projection import check_strength
from mmgraph.models.plugins.base import Plugin
from mmgraph.nn.projection import NullSpaceProjection as Projection
from mmgraph.schema import ITEM, mask_key
from mmgraph.transforms import NullSpaceProjection as ProjectFeatures

if TYPE_CHECKING:
    from mmgraph.models.base import Recommender

logger = logging.getLogger(__name__)


class CLEARPlugin(Plugin):
    r"""Null-space projection of the host's item embeddings.

    Right after the host's modality maps, every item embedding loses the share
    :math:`\lambda` of its first :math:`k` shared directions,
    :math:`\tilde{V} = V - \lambda (V U_k) U_k^\top` (Eq. 9-10 of "CLEAR: Null-Space
    Projection for Cross-Modal De-Redundancy in Multimodal Recommendation", 2026).

    Args:
        rank: Number of shared directions :math:`k`.
        strength: Share removed :math:`\lambda \in [0, 1]`.
        refresh_every: Epochs between two computations of the directions.
        energy: Choose the number of directions by this share of the energy instead.
        sides: ``"both"``, or the one modality that is projected.
        where: ``"encoder"`` projects the embeddings, ``"graph"`` projects the raw
            features once, before the host's item graphs are built from them.

    Where the host reads features beside its modality maps, they pass as they are: in
    VBPR's paper form the visual bias, so VBPR+CLEAR@released is the paper's plug-in.

    Raises:
        ValueError: If ``where`` is neither, or an option is out of range.
    """

    def __init__(
        self,
        dims: dict[str, int],
        *,
        rank: int = 8,
        strength: float = 0.9,
        refresh_every: int = 1,
        energy: float | None = None,
        sides: str = "both",
        where: str = "encoder",
    ) -> None:
        super().__init__()
        if where not in ("encoder", "graph"):
            raise ValueError(f"'where' must be 'encoder' or 'graph' (got {where!r})")
        if energy is None and len(dims) > 1:
            check_rank(rank, min(dims.values()))
        check_strength(strength)
        of_encoder = (refresh_every, energy, sides)
        if where == "graph" and of_encoder != (1, None, "both"):
            raise ValueError(
                "'sides', 'energy' and 'refresh_every' belong to where='encoder': "
                "where='graph' projects once, with 'rank' and 'strength'"
            )
        self.where = where
        self.dims = dims
        self.rank, self.strength = rank, strength
        if where == "encoder":
            self.projection = Projection(
                rank,
                strength,
                refresh_every=refresh_every,
                energy=energy,
                sides=sides,
            )

    def forward(self, z: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.where == "graph":
            return z
        projected: dict[str, Tensor] = self.projection(z)
        return projected

    def on_epoch_start(self, model: Recommender, data: HeteroData, epoch: int) -> None:
        warn_of_one_modality(self.dims, self.strength, epoch)
        if self.where == "encoder" and self.projection.should_refresh(epoch):
            refresh_projection(self.projection, model, data, epoch)

    def epoch_measures(self, epoch: int) -> dict[str, float]:
        if self.where == "graph":
            return {}
        return refreshed_measures(self.projection, epoch)

    def extra_repr(self) -> str:
        return f"rank={self.rank}, strength={self.strength}, where={self.where!r}"

    def graph_view(self, data: HeteroData) -> HeteroData:
        if self.where == "encoder":
            return data
        projected: HeteroData = ProjectFeatures(self.rank, self.strength)(data)
        return projected


def check_rank(rank: int, width: int) -> None:
    """Refuse more shared directions than the embeddings have.

    Raises:
        ValueError: If ``rank`` is not in ``[0, width]``.
    """
    if not 0 <= rank <= width:
        raise ValueError(f"'rank' must be in [0, {width}] (got {rank})")


def warn_of_one_modality(dims: dict[str, int], strength: float, epoch: int) -> None:
    """Say before the first epoch that there is nothing to project away.

    Example:
        >>> warn_of_one_modality({"visual": 8, "textual": 6}, strength=0.9, epoch=1)
    """
    if epoch == 1 and strength and len(dims) == 1:
        logger.warning(
            "CLEAR: %s is the only modality, so nothing is shared and CLEAR changes "
            "nothing",
            *dims,
        )


def refresh_projection(
    projection: Projection, model: Recommender, data: HeteroData, epoch: int
) -> None:
    """Compute the shared directions of the current embeddings, without gradients.

    Items whose features are missing (mask False) do not take part.
    """
    was_training = model.training
    model.eval()
    with torch.no_grad():
        z = model.encode_modalities(data)
    model.train(was_training)
    masks: dict[str, Any] = {
        m: data[ITEM][mask_key(m)] for m in z if mask_key(m) in data[ITEM]
    }
    projection.refresh(z, epoch=epoch, masks=masks or None)


def refreshed_measures(projection: Projection, epoch: int) -> dict[str, float]:
    """What the refresh of this epoch found; nothing if there was none.

    Example:
        >>> projection = Projection(2, 0.9)
        >>> x = {"visual": torch.randn(9, 4), "textual": torch.randn(9, 3)}
        >>> projection.refresh(x, epoch=5)
        >>> refreshed_measures(projection, 5)["visual/rank"]
        2
        >>> refreshed_measures(projection, 6)
        {}
    """
    return dict(projection.measures) if projection.refreshed_at == epoch else {}
