"""The batch of a training step."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmgraph.functional.rows import distinct_rows, take_rows


class Batch(NamedTuple):
    """Index tensors of equal length; ``neg_item`` is None for models without it.

    Example:
        >>> Batch(torch.tensor([0]), torch.tensor([3]), torch.tensor([5])).neg_item
        tensor([5])
    """

    user: Tensor
    pos_item: Tensor
    neg_item: Tensor | None = None

    @property
    def whole(self) -> Batch:
        """The batch that this is a share of; itself where one process has it all.

        What depends on other rows of the batch, or draws random numbers for its rows,
        reads this one.
        """
        return self

    def own(self, *rows: Tensor) -> tuple[Tensor, ...]:
        """Of one row per triple of the :attr:`whole` batch, those of this share.

        Example:
            >>> Batch(torch.tensor([0]), torch.tensor([3])).own(torch.ones(1))
            (tensor([1.]),)
        """
        return rows

    def places(self) -> Tensor | None:
        """Where this share's rows are in the whole batch; None if it is that."""
        return None

    def joined(self, rows: Tensor) -> Tensor:
        """Rows with all columns, where several processes share the columns.

        Example:
            >>> Batch(torch.tensor([0]), torch.tensor([3])).joined(torch.ones(1, 1))
            tensor([[1.]])
        """
        return rows

    def rows(
        self, user: Tensor | nn.Embedding, item: Tensor | nn.Embedding
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rows of the users, the positives and the negatives.

        Positives and negatives share one look-up, so that the backward makes one
        gradient of the item embeddings and not two.

        Args:
            user: One row per user ``[U, d]``, or a table of them.
            item: One row per item ``[I, d]``, or a table of them.

        Example:
            >>> batch = Batch(torch.tensor([0]), torch.tensor([2]), torch.tensor([1]))
            >>> batch.rows(torch.zeros(1, 1), torch.arange(3.0).unsqueeze(1))
            (tensor([[0.]]), tensor([[2.]]), tensor([[1.]]))
        """
        assert self.neg_item is not None
        both = take_rows(item, torch.cat([self.pos_item, self.neg_item]))
        pos, neg = self.joined(both).split(self.pos_item.numel())
        return self.joined(take_rows(user, self.user)), pos, neg

    def nodes(self, num_users: int) -> Tensor:
        """Users, positives and negatives, one after the other, as nodes of one graph.

        Args:
            num_users: Number of users, which come before the items.

        Example:
            >>> Batch(*torch.tensor([[0], [3], [5]])).nodes(num_users=10)
            tensor([ 0, 13, 15])
        """
        assert self.neg_item is not None
        items = torch.cat([self.pos_item, self.neg_item])
        return torch.cat([self.user, items + num_users])

    def items(self) -> Tensor:
        """The distinct items, ascending.

        Example:
            >>> Batch(torch.tensor([0, 1]), torch.tensor([7, 3])).items()
            tensor([3, 7])
        """
        parts = [part for part in (self.pos_item, self.neg_item) if part is not None]
        distinct: Tensor = torch.cat(parts).unique()
        return distinct

    def distinct_positives(self) -> tuple[Tensor, Tensor]:
        """The distinct positives, and where each positive is in them.

        As :func:`~mmgraph.functional.rows.distinct_rows` gives them, here and below.

        Example:
            >>> user = torch.tensor([0, 1, 2])
            >>> Batch(user, torch.tensor([7, 3, 7])).distinct_positives()
            (tensor([3, 7]), tensor([1, 0, 1]))
        """
        return distinct_rows(self.pos_item)

    def distinct_items(self) -> tuple[Tensor, Tensor, Tensor]:
        """The distinct items, and where each positive and each negative is in them.

        What costs much per item (a product with wide features, say) is then done once
        for each.

        Example:
            >>> user = torch.tensor([0, 1])
            >>> Batch(user, torch.tensor([7, 3]), torch.tensor([9, 7])).distinct_items()
            (tensor([3, 7, 9]), tensor([1, 0]), tensor([2, 1]))
        """
        assert self.neg_item is not None
        both = torch.cat([self.pos_item, self.neg_item])
        items, place = distinct_rows(both)
        pos, neg = place.split(self.pos_item.numel())
        return items, pos, neg


class BatchShare(Batch):
    """Rows of a batch that several processes share.

    Args:
        whole: The batch.
        rows: This process's triples.
        weight: Ratio of the batch's rows that they stand for, so that the processes'
            means add up to the mean.
        sum_weight: What a sum over them counts.

    Example:
        >>> batch = Batch(*torch.arange(6).view(3, 2))
        >>> share = BatchShare(batch, slice(1, 2), weight=0.5)
        >>> share.user, share.whole.user
        (tensor([1]), tensor([0, 1]))
    """

    weight: float
    sum_weight: float
    _whole: Batch
    _rows: slice

    def __new__(
        cls, whole: Batch, rows: slice, *, weight: float, sum_weight: float = 1.0
    ) -> BatchShare:
        negative = None if whole.neg_item is None else whole.neg_item[rows]
        share = super().__new__(cls, whole.user[rows], whole.pos_item[rows], negative)
        share._whole, share._rows = whole, rows
        share.weight, share.sum_weight = weight, sum_weight
        return share

    @property
    def whole(self) -> Batch:
        return self._whole

    def own(self, *rows: Tensor) -> tuple[Tensor, ...]:
        return tuple(each[self._rows] for each in rows)

    def places(self) -> Tensor | None:
        rows = self._rows
        return torch.arange(rows.start, rows.stop, device=self.user.device)
