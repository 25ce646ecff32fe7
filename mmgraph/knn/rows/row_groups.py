"""Groups of equal rows, and the rows of each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mmgraph.knn.rows.duplicates import distinct_rows


@dataclass(frozen=True)
class RowGroups:
    """Groups of equal rows, each group's ids together and in their order.

    Attributes:
        group: int64 ``[N]``, group of every row.
        id: int64 ``[N]``, group after group.
        begin: int64 ``[U]``, where each group begins in ``id``.
        size: int64 ``[U]``, how many it has.
    """

    group: Tensor
    id: Tensor
    begin: Tensor
    size: Tensor

    @classmethod
    def of(cls, group: Tensor, id: Tensor | None = None) -> RowGroups:
        """Sort rows by their group.

        Args:
            group: Group of every row, as ``distinct_rows`` numbers them.
            id: Their ids; their positions by default.

        Shapes:
            group, id: ``[N]``.

        Example:
            >>> RowGroups.of(torch.tensor([0, 1, 0])).id.tolist()
            [0, 2, 1]
        """
        order, size = group.argsort(stable=True), group.bincount()
        id = order if id is None else id[order]
        return cls(group, id, size.cumsum(0) - size, size)

    @classmethod
    def find(cls, x: Tensor, row: Tensor) -> RowGroups:
        """Group some rows of a matrix by their values.

        Args:
            x: Features.
            row: Rows to group, ascending and without NaN; they are the ids.

        Shapes:
            x: ``[N, D]``; row: ``[M]``.

        Example:
            >>> x = torch.tensor([[1.0], [0.0], [2.0], [1.0]])
            >>> groups = RowGroups.find(x, torch.tensor([0, 2, 3]))
            >>> groups.first.tolist(), groups.group.tolist()
            ([0, 2], [0, 1, 0])
        """
        _, group = distinct_rows(x, row if len(row) < len(x) else None)
        return cls.of(group, row)

    def __len__(self) -> int:
        return len(self.size)

    @property
    def first(self) -> Tensor:
        """The first id of each group, int64 ``[U]``."""
        return self.id[self.begin]

    def members(self, group: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """The first ids of some groups.

        Args:
            group: The groups.
            most: Ids to take of each, at most.

        Returns:
            How many ids each has, and the ids one after the other.

        Shapes:
            group: ``[P]``; returns ``[P]`` and ``[sum]``.

        Example:
            >>> groups = RowGroups.of(torch.tensor([0, 1, 0]))
            >>> count, id = groups.members(torch.arange(2), 2)
            >>> count.tolist(), id.tolist()
            ([2, 1], [0, 2, 1])
        """
        count = self.size[group].clamp(max=most)
        offset = torch.arange(int(count.sum()), device=group.device)
        offset -= (count.cumsum(0) - count).repeat_interleave(count)
        begin = self.begin[group].repeat_interleave(count)
        return count, self.id[begin + offset]
