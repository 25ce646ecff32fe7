"""The batch of a training whose processes share the columns of the embeddings."""

from __future__ import annotations

from torch import Tensor, nn

from mmgraph.distributed.columns import join_columns
from mmgraph.models.batch import Batch, BatchShare


class ColumnBatch(Batch):
    """A batch that brings the columns of its rows together.

    Args:
        batch: The batch.
        dim: Columns of all processes together.

    Example:
        >>> import torch
        >>> batch = ColumnBatch(Batch(*torch.tensor([[0], [0], [1]])), dim=2)
        >>> batch.rows(torch.zeros(1, 2), torch.eye(2))[1]
        tensor([[1., 0.]])
    """

    _dim: int

    def __new__(cls, batch: Batch, dim: int) -> ColumnBatch:
        columns = super().__new__(cls, *batch)
        columns._dim = dim
        return columns

    def joined(self, rows: Tensor) -> Tensor:
        return join_columns(rows, self._dim)


class ColumnShare(BatchShare):
    """A share of such a batch: its rows are those of the whole batch, joined."""

    def rows(
        self, user: Tensor | nn.Embedding, item: Tensor | nn.Embedding
    ) -> tuple[Tensor, Tensor, Tensor]:
        own_user, own_pos, own_neg = self.own(*self.whole.rows(user, item))
        return own_user, own_pos, own_neg
