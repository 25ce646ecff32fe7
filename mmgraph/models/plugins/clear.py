"""CLEAR on any host."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Literal

from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.errors import UserError
from mmgraph.functional.redundancy.projection import have_common_items
from mmgraph.models.plugins.base import Encode, Plugin
from mmgraph.nn.projection import NullSpaceProjection as Projection
from mmgraph.options import (
    Dims,
    Fraction,
    NonNegativeInt,
    PositiveInt,
    Range,
    declared_options,
)
from mmgraph.schema import ITEM, mask_key
from mmgraph.transforms import NullSpaceProjection as ProjectFeatures

logger = logging.getLogger(__name__)


#: A ratio of energy: above 0, at most all of it.
Energy = Annotated[float, Range(0, 1, "(]")]
Directions = Literal["covariance", "canonical"]
#: Options that choose the rank in the place of ``rank``.
RANK_RULES = ("energy", "penalty", "effective_rank")


class CLEARPlugin(Plugin):
    r"""Null-space projection of the host's item embeddings.

    Right after the host's modality maps, every item embedding loses the fraction
    :math:`\lambda` of its first :math:`k` shared directions,
    :math:`\tilde{V} = V - \lambda (V U_k) U_k^\top` (Eq. 9-10 of "CLEAR: Null-Space
    Projection for Cross-Modal De-Redundancy in Multimodal Recommendation", 2026).

    Args:
        rank: Number of shared directions :math:`k`.
        strength: Fraction removed :math:`\lambda \in [0, 1]`.
        refresh_every: Epochs between two computations of the directions.
        energy: Choose the number of directions by this ratio of the energy instead.
        penalty: Choose it by Eq. 13 instead, here and for the next two see
            :class:`~mmgraph.nn.NullSpaceProjection`.
        effective_rank: Choose it as the effective rank instead.
        directions: ``"covariance"`` or ``"canonical"``.
        sides: ``"both"``, or the one modality that is projected.
        center_output: Project the centred embeddings instead of the raw ones.
        stop_gradient: Let no gradient through along the shared directions, see
            :class:`~mmgraph.nn.NullSpaceProjection`.
        where: ``"encoder"`` projects the embeddings, ``"graph"`` projects the raw
            features once, before the host's item graphs are built from them.

    Where the host reads features beside its modality maps, they pass as they are: in
    VBPR's paper form the visual bias, so VBPR+CLEAR@released is the paper's plug-in.

    Raises:
        UserError: If an option is out of range or does not suit the embeddings.
    """

    name = "CLEAR"

    def __init__(
        self,
        dims: Dims,
        *,
        rank: NonNegativeInt = 8,
        strength: Fraction = 0.9,
        refresh_every: PositiveInt = 1,
        energy: Energy | None = None,
        penalty: Fraction | None = None,
        effective_rank: bool = False,
        directions: Directions = "covariance",
        sides: str = "both",
        center_output: bool = False,
        stop_gradient: bool = False,
        where: Literal["encoder", "graph"] = "encoder",
    ) -> None:
        super().__init__(dims)
        options: dict[str, Any] = {
            "refresh_every": refresh_every,
            "energy": energy,
            "penalty": penalty,
            "effective_rank": effective_rank,
            "directions": directions,
            "sides": sides,
            "center_output": center_output,
            "stop_gradient": stop_gradient,
        }
        check_projection(dims, rank, options)
        self.where = where
        self.rank, self.strength = rank, strength
        if where == "encoder":
            self.projection = Projection(rank, strength, **options)
            return
        declared = declared_options(type(self))
        given = [name for name in options if options[name] != declared[name].default]
        if given:
            raise UserError(
                f"{given[0]!r} belongs to where='encoder'",
                "where='graph' projects once: give 'rank' and 'strength' alone",
                owner="",
            )

    def forward(self, z: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.where == "graph":
            return z
        projected: dict[str, Tensor] = self.projection(z)
        return projected

    def on_epoch_start(self, encode: Encode, data: HeteroData, epoch: int) -> None:
        warn_if_nothing_is_shared(self.dims, data, self.strength, epoch)
        if self.where == "encoder":
            refresh_projection(self.projection, encode, data, epoch)

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


def check_projection(
    dims: dict[str, int], rank: int, options: Mapping[str, Any]
) -> None:
    """Refuse a projection that the embeddings do not have room for.

    Args:
        dims: Dimension of each modality's embeddings.
        rank: Number of shared directions.
        options: Options of the projection: its sides, and what decides in the place of
            ``rank``.

    Raises:
        UserError: If there are fewer dimensions than directions, no such modality, or
            more than one rule for the rank.

    Example:
        >>> check_projection({"visual": 8, "textual": 6}, 6, {"sides": "both"})
    """
    rules = [name for name in RANK_RULES if options.get(name) not in (None, False)]
    if len(rules) > 1:
        raise UserError(
            f"{rules[0]!r} and {rules[1]!r} both choose the rank",
            "leave one out",
            owner="",
        )
    most, sides = min(dims.values(), default=0), options["sides"]
    if not rules and len(dims) > 1 and rank > most:
        raise UserError(
            f"'rank' must be in [0, {most}] (got {rank})", "lower it", owner=""
        )
    if sides != "both" and sides not in dims:
        names = ", ".join(map(repr, dims))
        raise UserError(
            f"'sides' must be 'both' or one of {names} (got {sides!r})",
            "correct the option",
            owner="",
        )


def warn_if_nothing_is_shared(
    modalities: Collection[str], data: HeteroData, strength: float, epoch: int
) -> None:
    """Say before the first epoch that there is nothing to project away.

    Args:
        modalities: Names of the modalities.
        data: Where the masks are.
        strength: Strength of the projection; at 0 nothing is expected of it.
        epoch: The epoch that begins.

    Example:
        >>> warn_if_nothing_is_shared(["visual", "textual"], HeteroData(), 0.9, epoch=1)
    """
    if epoch > 1 or not strength:
        return
    if len(modalities) == 1:
        reason = f"{next(iter(modalities))} is the only modality"
    elif not have_common_items(modalities, item_masks(data, modalities)):
        reason = f"no item has two of {', '.join(modalities)}"
    else:
        return
    logger.warning("CLEAR: %s, so nothing is shared and CLEAR changes nothing", reason)


def item_masks(data: HeteroData, modalities: Iterable[str]) -> dict[str, Tensor]:
    """The masks that the data have, by modality.

    Example:
        >>> item_masks(HeteroData(), ["visual"])
        {}
    """
    keys = {m: mask_key(m) for m in modalities}
    return {m: data[ITEM][key] for m, key in keys.items() if key in data[ITEM]}


def refresh_projection(
    projection: Projection, encode: Encode, data: HeteroData, epoch: int
) -> None:
    """Compute the shared directions of the current embeddings, if they are due.

    Items whose features are missing (mask False) do not take part.

    Args:
        projection: The projection.
        encode: Gives the embeddings, without gradients.
        data: Where the masks are.
        epoch: The epoch that begins.
    """
    if not projection.should_refresh(epoch):
        return
    z = encode(None)
    projection.refresh(z, epoch=epoch, masks=item_masks(data, z))


def refreshed_measures(projection: Projection, epoch: int) -> dict[str, float]:
    """Measures of the refresh of this epoch; none if there was no refresh.

    Example:
        >>> import torch
        >>> projection = Projection(2, 0.9)
        >>> x = {"visual": torch.randn(9, 4), "textual": torch.randn(9, 3)}
        >>> projection.refresh(x, epoch=5)
        >>> refreshed_measures(projection, 5)["visual/rank"]
        2
        >>> refreshed_measures(projection, 6)
        {}
    """
    return dict(projection.measures) if projection.refreshed_at == epoch else {}
