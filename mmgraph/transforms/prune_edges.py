"""A sparser user-item graph."""

from __future__ import annotations

from typing import Literal

import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from mmgraph.functional.graph.prune import prune_edges
from mmgraph.options import CheckedOptions, Fraction
from mmgraph.schema import INTERACTS, REV_INTERACTS


class PruneEdges(CheckedOptions, BaseTransform):
    """Remove a random part of the message-passing edges between users and items.

    See :func:`mmgraph.functional.graph.prune.prune_edges`. Attributes of the edges are
    pruned with them, ``rev_interacts`` becomes the reverse of what is left, and
    ``edge_label_index`` (what is to be predicted) stays. Normalised weights do not
    survive a change of degrees: prune first, normalise afterwards.

    Args:
        ratio: Fraction to remove, in ``[0, 1]``.
        by: ``degree`` removes edges between popular nodes first; ``uniform``.
        generator: Source of randomness, on the device of the edges; the global one
            by default.

    Raises:
        ValueError: ``ratio`` is outside ``[0, 1]`` or ``by`` is unknown.

    Example:
        >>> data = HeteroData()
        >>> edge_index = torch.tensor([[0, 0, 1, 1], [0, 1, 0, 1]])
        >>> data["user", "interacts", "item"].edge_index = edge_index
        >>> PruneEdges(0.5)(data)["interacts"].edge_index.shape
        torch.Size([2, 2])
    """

    def __init__(
        self,
        ratio: Fraction,
        *,
        by: Literal["degree", "uniform"] = "degree",
        generator: torch.Generator | None = None,
    ) -> None:
        self.ratio = ratio
        self.by = by
        self.generator = generator

    def forward(self, data: HeteroData) -> HeteroData:
        """Return ``data`` with fewer edges.

        Example:
            >>> PruneEdges(0.8)
            PruneEdges(0.8, by='degree')
        """
        store = data[INTERACTS]
        kept = prune_edges(
            store.edge_index, self.ratio, by=self.by, generator=self.generator
        )
        for key in store.edge_attrs():
            if key == "edge_index":
                store[key] = store[key][:, kept]
            elif not key.startswith("edge_label"):
                store[key] = store[key][kept]
        if REV_INTERACTS in data.edge_types:
            reverse = data[REV_INTERACTS]
            for key in reverse.edge_attrs():
                if key == "edge_index":
                    reverse[key] = store.edge_index.flip(0)
                elif key in store:
                    reverse[key] = store[key]
                else:
                    raise ValueError(
                        "an attribute of the reverse edges alone cannot be pruned "
                        f"with them (got {key!r})"
                    )
        return data

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.ratio}, by={self.by!r})"
