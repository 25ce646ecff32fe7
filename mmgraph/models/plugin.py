"""What attaches to any model with modality encoders, without touching its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.functional.projection import check_strength
from mmgraph.nn.losses import SeparateLearningLoss
from mmgraph.nn.projection import NullSpaceProjection as Projection
from mmgraph.schema import ITEM, mask_key
from mmgraph.transforms import NullSpaceProjection as ProjectFeatures

if TYPE_CHECKING:
    from mmgraph.models.base import Recommender


class Plugin(nn.Module):
    """Does nothing; CLEAR and SEA override what they need."""

    #: ``"encoder"`` acts on the embeddings, ``"graph"`` on the item graphs.
    where: str = "encoder"

    def forward(self, z: dict[str, Tensor]) -> dict[str, Tensor]:
        """What the host sees instead of its item embeddings ``{m: [N, d]}``."""
        return z

    def losses(self, model: Recommender, data: HeteroData) -> dict[str, Tensor]:
        """Loss terms beside those of the host."""
        return {}

    def on_epoch_start(self, model: Recommender, data: HeteroData, epoch: int) -> None:
        """Called before the first batch of each epoch, counted from 1."""

    def graph_view(self, data: HeteroData) -> HeteroData:
        """The data from which the host's item graphs are built."""
        return data

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        """Parameters that the plug-in's own optimisers move."""
        return []

    def auxiliary_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Optimisers that the plug-in steps by itself."""
        return {}


class CLEAR(Plugin):
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
        self.where = where
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
        if self.where == "encoder" and self.projection.should_refresh(epoch):
            refresh_projection(self.projection, model, data, epoch)

    def extra_repr(self) -> str:
        return f"rank={self.rank}, strength={self.strength}, where={self.where!r}"

    def graph_view(self, data: HeteroData) -> HeteroData:
        if self.where == "encoder":
            return data
        projected: HeteroData = ProjectFeatures(self.rank, self.strength)(data)
        return projected


class SEA(Plugin):
    r"""Separate learning on the host's item embeddings.

    Adds :math:`\alpha L_{align} + \beta L_{dist}` over all items, with the generic half
    and the unique half of each modality's embedding (Eq. 19 of "It is Never Too Late to
    Mend: Separate Learning for Multimedia Recommendation", 2024). The halves are used
    as they are, without further maps, when they are no wider than 64.

    The host's score is not touched: only its embeddings learn to be separate. (The
    authors' own VBPR variant replaces the projected features by the aligned heads; this
    is not that.) On a host that projects its embeddings by itself, the losses see them
    before that.

    The host's score is not touched: only its embeddings learn to be separate. (The
    authors' own VBPR variant replaces the projected features by the aligned heads; this
    is not that.) On a host that projects its embeddings by itself, the losses see them
    before that.

    Args:
        align: ``"solosim"``, ``"info_nce"`` or None.
        distance: ``"mim"``, ``"neg_l2"`` or None.
        align_weight: :math:`\alpha`.
        distance_weight: :math:`\beta`.
        temperature: Temperature of the alignment.
        club_inner_steps: Steps of the estimator of the mutual information per batch.
    """

    def __init__(
        self,
        dims: dict[str, int],
        *,
        align: str | None = "solosim",
        distance: str | None = "mim",
        align_weight: float = 0.012,
        distance_weight: float = 0.003,
        temperature: float = 0.2,
        club_inner_steps: int = 50,
    ) -> None:
        super().__init__()
        narrow = all(dim <= 128 for dim in dims.values())
        self.separate = SeparateLearningLoss(
            dims,
            align=align,
            distance=distance,
            align_weight=align_weight,
            distance_weight=distance_weight,
            temperature=temperature,
            club_inner_steps=club_inner_steps,
            mim_proj="none" if narrow else "linear",
        )

    def losses(self, model: Recommender, data: HeteroData) -> dict[str, Tensor]:
        z = model.encode_modalities(data)
        if self.training:
            self.separate.club_step(z)
        terms: dict[str, Tensor] = self.separate(z)
        return terms

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        return list(self.separate.estimator_parameters())

    def auxiliary_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        optimizer = self.separate.estimator_optimizer
        return {} if optimizer is None else {"estimator": optimizer}


def check_rank(rank: int, width: int) -> None:
    """Refuse more shared directions than the embeddings have.

    Raises:
        ValueError: If ``rank`` is not in ``[0, width]``.
    """
    if not 0 <= rank <= width:
        raise ValueError(f"'rank' must be in [0, {width}] (got {rank})")


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


PLUGINS: dict[str, type[Plugin]] = {"CLEAR": CLEAR, "SEA": SEA}
