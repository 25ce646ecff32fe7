"""The rows behind every distinct row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Members:
    """Groups of equal rows, each group's ids together and in their order.

    Attributes:
        id: int64 ``[N]``, group after group.
        begin: int64 ``[U]``, where each group begins in ``id``.
        size: int64 ``[U]``, how many it has.
    """

    id: Tensor
    begin: Tensor
    size: Tensor

    @classmethod
    def of(cls, group: Tensor, id: Tensor | None = None) -> Members:
        """Sort rows by their group.

        Args:
            group: Group of every row, as ``distinct_rows`` numbers them.
            id: Their ids; their positions by default.

        Shapes:
            group, id: ``[N]``.

        Example:
            >>> Members.of(torch.tensor([0, 1, 0])).id.tolist()
            [0, 2, 1]
        """
        order, size = group.argsort(stable=True), group.bincount()
        return cls(order if id is None else id[order], size.cumsum(0) - size, size)

    def first(self, group: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """The first ids of some groups.

        Args:
            group: The groups.
            most: Ids wanted of each.

        Returns:
            How many ids each has, and the ids one after the other.

        Shapes:
            group: ``[P]``; returns ``[P]`` and ``[sum]``.

        Example:
            >>> members = Members.of(torch.tensor([0, 1, 0]))
            >>> count, id = members.first(torch.arange(2), 2)
            >>> count.tolist(), id.tolist()
            ([2, 1], [0, 2, 1])
        """
        count = self.size[group].clamp(max=most)
        offset = torch.arange(int(count.sum()), device=group.device)
        offset -= (count.cumsum(0) - count).repeat_interleave(count)
        begin = self.begin[group].repeat_interleave(count)
        return count, self.id[begin + offset]
