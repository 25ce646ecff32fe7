"""Item features without what they say of the items, for controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from mmgraph.options import CheckedOptions, NonNegativeInt
from mmgraph.schema import ITEM, feature_key, mask_key, modalities


class ReplaceFeatures(CheckedOptions, BaseTransform):
    """Shuffle the features of modalities over the items, or make them zero.

    A system that is as good with them as with the true ones does not use what they say
    of an item. All modalities are shuffled alike, so that the rows of one item stay
    those of one item; masks are shuffled with them. Item graphs that the data have
    stay as they are.

    Args:
        how: ``"shuffle"`` or ``"zero"``.
        modalities: Modalities to replace; all by default.
        seed: Seed of the shuffling.

    Raises:
        ValueError: An option is unknown, or the data lacks a modality.

    Example:
        >>> data = HeteroData()
        >>> data["item"].x_visual = torch.tensor([[1.0], [2.0], [3.0]])
        >>> ReplaceFeatures("shuffle", seed=1)(data)["item"].x_visual.flatten()
        tensor([2., 3., 1.])
    """

    def __init__(
        self,
        how: Literal["shuffle", "zero"],
        modalities: Sequence[str] | None = None,
        *,
        seed: NonNegativeInt = 0,
    ) -> None:
        self.how = how
        self.modalities = None if modalities is None else list(modalities)
        self.seed = seed

    def forward(self, data: HeteroData) -> HeteroData:
        """Return ``data`` with other features.

        Example:
            >>> ReplaceFeatures("zero", ["visual"])
            ReplaceFeatures(how='zero', modalities=['visual'], seed=0)
        """
        names = modalities(data) if self.modalities is None else self.modalities
        absent = [name for name in names if name not in modalities(data)]
        if absent:
            raise ValueError(
                f"the data has no modality {absent[0]!r} (got {modalities(data)})"
            )
        item = data[ITEM]
        generator = torch.Generator().manual_seed(self.seed)
        num_items = item[feature_key(names[0])].size(0) if names else 0
        order = torch.randperm(num_items, generator=generator)
        for name in names:
            for key in (feature_key(name), mask_key(name)):
                if key not in item:
                    continue
                if self.how == "shuffle":
                    item[key] = item[key][order.to(item[key].device)]
                elif key == feature_key(name):
                    item[key] = torch.zeros_like(item[key])
        return data

    def __repr__(self) -> str:
        options = f"how={self.how!r}, modalities={self.modalities}, seed={self.seed}"
        return f"{type(self).__name__}({options})"
