"""SEA on any host."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.errors import UserError
from mmgraph.models.batch import Batch
from mmgraph.models.parts.bound_measures import BoundMeasures
from mmgraph.models.plugins.base import Encode, Plugin
from mmgraph.nn.losses.separate_learning import (
    Alignment,
    Distance,
    Fit,
    Order,
    SeparateLearningLoss,
)
from mmgraph.options import (
    Dims,
    Fidelity,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
)


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
        club_fit: How the estimator of the mutual information is fitted, ``"adam"`` or
            ``"closed-form"``, see :class:`~mmgraph.nn.SeparateLearningLoss`, here and
            for the options that follow.
        club_inner_steps: Steps of the estimator per batch.
        club_lr: Learning rate of the estimator.
        club_rows: Rows of a modality that such a step sees, 0 for all.
        club_order: ``"loss-first"``, as in the public code, or ``"fit-first"``.
        club_standardize: Bring the columns of both halves to variance 1 first.
        club_pairs: Pairs that it is fitted to, ``"paper"`` or ``"released"``.
        normalize_distance: Normalise both halves before the negative distance, which
            is unbounded otherwise.
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
        align: Alignment | None = "solosim",
        distance: Distance | None = "mim",
        align_weight: NonNegativeFloat = 0.012,
        distance_weight: NonNegativeFloat = 0.003,
        temperature: PositiveFloat = 0.2,
        club_fit: Fit = "adam",
        club_inner_steps: NonNegativeInt = 10,
        club_lr: PositiveFloat = 3e-2,
        club_rows: NonNegativeInt = 1024,
        club_order: Order = "loss-first",
        club_standardize: bool = True,
        club_pairs: Fidelity = "paper",
        normalize_distance: bool = False,
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
            club_fit=club_fit,
            club_inner_steps=club_inner_steps,
            club_lr=club_lr,
            club_rows=club_rows,
            club_order=club_order,
            club_standardize=club_standardize,
            club_pairs=club_pairs,
            normalize_distance=normalize_distance,
            mim_proj="none" if narrow else "linear",
        )
        self.measures = BoundMeasures(self.separate)

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
        items = batch.whole.items() if self.candidates == "batch" else None
        if items is not None and len(items) < 2:
            items = None  # a single item has no other to contrast it with
        z = encode(items)
        terms: dict[str, Tensor] = self.separate(z, fit=self.training)
        if self.training:
            self.measures.keep()
        return terms

    def on_epoch_start(self, encode: Encode, data: HeteroData, epoch: int) -> None:
        self.measures.start_epoch()

    def epoch_measures(self, epoch: int) -> dict[str, float]:
        return self.measures.of_epoch()

    @torch.no_grad()
    def evaluation_measures(self, encode: Encode, data: HeteroData) -> dict[str, float]:
        separate = self.separate
        if not (separate.club and separate.distance_weight):
            return {}
        return self.measures.at_evaluation(separate.distance_inputs(encode(None)))

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        return list(self.separate.estimator_parameters())

    def auxiliary_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        optimizer = self.separate.estimator_optimizer
        return {} if optimizer is None else {"estimator": optimizer}


def _in_columns(x: Tensor, block: int, dim: int) -> Tensor:
    """``x`` as block number ``block`` of a wider matrix of zeros."""
    before = block * x.size(1)
    return F.pad(x, (before, dim - before - x.size(1)))
