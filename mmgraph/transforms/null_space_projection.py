"""CLEAR's projection of raw features, once, before training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from mmgraph.functional import shared_bases, suppress, union_bases
from mmgraph.options import CheckedOptions, Fraction, NonNegativeInt
from mmgraph.schema import ITEM, feature_key, mask_key, modalities


class NullSpaceProjection(CheckedOptions, BaseTransform):
    r"""Suppress in every item modality the directions it shares with the others.

    :math:`\tilde X_m = X_m (I - \lambda U_m U_m^\top)`, :math:`U_m` from the
    cross-covariance of the features (Eqs. 3-9 of "CLEAR: Null-Space Projection for
    Cross-Modal De-Redundancy in Multimodal Recommendation", 2026; stacked
    cross-covariances for more than two modalities). Items that lack a feature by
    ``mask_<modality>`` have no part in the covariance. One modality stays as it is, and
    so do those that no item has together. The bases ``[D_m, rank]`` are left in
    ``data.basis_<modality>``, so that items that come later can be projected alike
    (:func:`~mmgraph.functional.suppress`).

    Args:
        rank: Shared directions per modality.
        strength: Fraction to remove, in ``[0, 1]``; 0 changes nothing.
        modalities: Modalities to compare; all by default.
        multi: Directions that three and more modalities lose: ``"stacked"``, the
            ``rank`` directions that each shares most with all the others together
            (:func:`~mmgraph.functional.shared_bases`), or ``"union"``, the ``rank``
            directions of every pair (:func:`~mmgraph.functional.union_bases`).

    Raises:
        ValueError: An option is unknown, ``strength`` is outside ``[0, 1]``, ``rank``
            exceeds a dimension, or the data lacks a modality.

    Example:
        >>> import torch
        >>> data = HeteroData()
        >>> data["item"].x_a = torch.tensor([[1.0, 5.0], [-1.0, 5.0]])
        >>> data["item"].x_b = torch.tensor([[2.0], [-2.0]])
        >>> data = NullSpaceProjection(rank=1, strength=1.0)(data)
        >>> data["item"].x_a
        tensor([[0., 5.],
                [0., 5.]])
    """

    def __init__(
        self,
        rank: NonNegativeInt,
        strength: Fraction,
        modalities: Sequence[str] | None = None,
        multi: Literal["stacked", "union"] = "stacked",
    ) -> None:
        self.rank = rank
        self.strength = strength
        self.modalities = None if modalities is None else list(modalities)
        self.multi = multi

    def forward(self, data: HeteroData) -> HeteroData:
        """Return ``data`` with projected features.

        Example:
            >>> NullSpaceProjection(8, 0.9)
            NullSpaceProjection(rank=8, strength=0.9)
        """
        names = modalities(data) if self.modalities is None else self.modalities
        absent = [name for name in names if name not in modalities(data)]
        if absent:
            raise ValueError(
                f"the data has no modality {absent[0]!r} (got {modalities(data)})"
            )
        if len(names) < 2 or self.strength == 0:
            return data
        item = data[ITEM]
        x = {name: item[feature_key(name)] for name in names}
        masks = {name: item[mask_key(name)] for name in names if mask_key(name) in item}
        if self.multi == "stacked":
            bases, _ = shared_bases(x, self.rank, masks=masks)
        else:
            bases = union_bases(x, self.rank, masks=masks)
        for name in names:
            item[feature_key(name)] = suppress(x[name], bases[name], self.strength)
            data[f"basis_{name}"] = bases[name]
        return data

    def __repr__(self) -> str:
        return f"{type(self).__name__}(rank={self.rank}, strength={self.strength})"
