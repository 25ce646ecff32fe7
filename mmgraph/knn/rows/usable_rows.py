"""Rows of a feature matrix that take part in its graph."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mmgraph.knn.rows.row_source import RowSource


@dataclass(frozen=True)
class UsableRows:
    """Rows in memory and their positions in the matrix.

    Attributes:
        id: int64 ``[B]``, their positions in the matrix.
        x: ``[B, D]``, none of them zero.
        norm: float64 ``[B]``.
    """

    id: Tensor
    x: Tensor
    norm: Tensor

    @classmethod
    def read(
        cls,
        source: RowSource,
        norm: Tensor,
        start: int,
        stop: int,
        device: torch.device | str = "cpu",
    ) -> UsableRows:
        """Read those of a range of rows that take part in the graph.

        Args:
            source: The matrix.
            norm: Norms of all its rows, 0 for those that take no part.
            start: First row.
            stop: One past the last row.
            device: Their device.

        Example:
            >>> x = torch.tensor([[1.0], [0.0], [2.0]])
            >>> UsableRows.read(RowSource(x), x[:, 0].double(), 1, 3).id
            tensor([2])
        """
        return cls.of(source[start:stop], norm[start:stop], start).to(device)

    @classmethod
    def of(cls, x: Tensor, norm: Tensor, start: int = 0) -> UsableRows:
        """Keep the rows of a block that take part; no copy where all do.

        Args:
            x: Features of the block.
            norm: Norms of its rows, 0 for those that take no part.
            start: Position of the first row in the matrix.

        Shapes:
            x: ``[B, D]``; norm: ``[B]``.

        Example:
            >>> x = torch.tensor([[1.0], [0.0], [2.0]])
            >>> UsableRows.of(x, x[:, 0].double(), start=4).id
            tensor([4, 6])
        """
        kept = norm.nonzero().flatten()
        if len(kept) < len(x):
            x, norm = x[kept], norm[kept]
        return cls(kept + start, x, norm)

    def to(self, device: torch.device | str) -> UsableRows:
        """The same rows on a device."""
        return UsableRows(self.id.to(device), self.x.to(device), self.norm.to(device))

    def __len__(self) -> int:
        return len(self.id)

    def __getitem__(self, chosen: Tensor | slice) -> UsableRows:
        return UsableRows(self.id[chosen], self.x[chosen], self.norm[chosen])
