"""The per-user split as a transform."""

from __future__ import annotations

from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from mmgraph.data.splits import split_per_user
from mmgraph.options import CheckedOptions


class PerUserSplit(CheckedOptions, BaseTransform):
    r"""Splits each user's interactions, as ``RandomLinkSplit`` splits a graph's.

    A user with :math:`n < 10` interactions gives one to validation and one to test;
    others give :math:`h = \lfloor 0.2 n \rfloor`, of which :math:`\lfloor h/2 \rfloor`
    are for validation. The three results share storage, and only training edges stay in
    their ``edge_index``.

    Args:
        seed: Seed of the shuffle.

    Returns:
        Training, validation and test data.

    Example:
        >>> from mmgraph.data import plant_catalogue
        >>> data, _ = plant_catalogue(num_users=20, num_items=60)
        >>> train, val, test = PerUserSplit(seed=1)(data)
        >>> val["user", "interacts", "item"].edge_label_index.size(1) > 0
        True
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def forward(self, data: HeteroData) -> tuple[HeteroData, HeteroData, HeteroData]:
        return split_per_user(data, seed=self.seed)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(seed={self.seed})"
