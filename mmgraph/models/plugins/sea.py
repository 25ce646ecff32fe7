"""SEA on any host."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.errors import UserError
from mmgraph.models.batch import Batch
from mmgraph.models.plugins.base import Encode, Plugin
from mmgraph.nn.losses import SeparateLearningLoss
from mmgraph.options import Dims, NonNegativeFloat, NonNegativeInt, PositiveFloat


class SEAPlugin(Plugin):
    r"""Separate learning on the host's item embeddings.

    Adds :math:`\alpha L_{align} + \beta L_{dist}` over the items, with the generic half
    and the unique half of each modality's embedding (Eq. 19 of "It is Never Too Late to
    Mend: Separate Learning for Multimedia Recommendation", 2024). The halves are used
    as they are, without further maps, when they are no wider than 64.

    The host's score is not touched: only its embeddings learn to be separate. With
    ``score_heads`` the host sees the aligned heads of the generic halves in place of
    its modality embeddings, and the unique halves nowhere, as in the authors' VBPR
    variant. On a host that projects its embeddings by itself, the losses see them
    before that.

    Args:
        align: Alignment of the generic halves, ``"solosim"``, ``"info_nce"`` or None.
        distance: Distance of generic and unique half, ``"mim"``, ``"neg_l2"`` or None.
        align_weight: Weight :math:`\alpha` of the alignment.
        distance_weight: Weight :math:`\beta` of the distance.
        temperature: Temperature of the alignment.
        club_inner_steps: Steps of the estimator of the mutual information per batch.
        candidates: Items the losses are over: ``"all"``, or those of the ``"batch"``,
            whose cost does not grow with the catalogue.
        score_heads: Hand the heads to the host. Each has columns of its own, so that a
            host that adds modalities up has them side by side, and zeros elsewhere.

    Raises:
        UserError: If an option is out of range, or ``score_heads`` is set where there
            are no heads or the modality embeddings of the host differ in dimension.
    """

    name = "SEA"
    trains_encoders = True

    def __init__(
        self,
        dims: Dims,
        *,
        align: Literal["solosim", "info_nce"] | None = "solosim",
        distance: Literal["mim", "neg_l2"] | None = "mim",
        align_weight: NonNegativeFloat = 0.012,
        distance_weight: NonNegativeFloat = 0.003,
        temperature: PositiveFloat = 0.2,
        club_inner_steps: NonNegativeInt = 50,
        candidates: Literal["all", "batch"] = "all",
        score_heads: bool = False,
    ) -> None:
        super().__init__(dims)
        self.candidates, self.score_heads = candidates, score_heads
        if score_heads and (align is None or len(dims) < 2):
            raise UserError(
                "'score_heads' needs the heads of the alignment (got "
                f"{list(dims)}, {align!r})",
                "use two modalities and an 'align'",
                owner="",
            )
        if score_heads and len(set(dims.values())) > 1:
            raise UserError(
                f"'score_heads' needs modalities of one dimension (got {dims})",
                "leave it out",
                owner="",
            )
        narrow = all(dim <= 128 for dim in dims.values())
        self.separate = SeparateLearningLoss(
            dims,
            # The authors' two heads of 32 make up their host's dimension of 64.
            proj_out=min(dims.values()) // len(dims) if score_heads else 32,
            align=align,
            distance=distance,
            align_weight=align_weight,
            distance_weight=distance_weight,
            temperature=temperature,
            club_inner_steps=club_inner_steps,
            mim_proj="none" if narrow else "linear",
        )

    def forward(self, z: dict[str, Tensor]) -> dict[str, Tensor]:
        if not self.score_heads:
            return z
        generic, _ = self.separate.split(z)
        heads = {m: self.separate.heads[m](x) for m, x in generic.items()}
        return {
            m: _in_columns(x, n, z[m].size(1)) for n, (m, x) in enumerate(heads.items())
        }

    def losses(
        self, encode: Encode, data: HeteroData, batch: Batch
    ) -> dict[str, Tensor]:
        items = batch.items() if self.candidates == "batch" else None
        if items is not None and len(items) < 2:
            items = None  # a single item has no other to contrast it with
        z = encode(items)
        if self.training:
            self.separate.club_step(z)
        terms: dict[str, Tensor] = self.separate(z)
        return terms

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        return list(self.separate.estimator_parameters())

    def auxiliary_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        optimizer = self.separate.estimator_optimizer
        return {} if optimizer is None else {"estimator": optimizer}


def _in_columns(x: Tensor, block: int, dim: int) -> Tensor:
    """``x`` as block number ``block`` of a wider matrix of zeros."""
    before = block * x.size(1)
    return F.pad(x, (before, dim - before - x.size(1)))
