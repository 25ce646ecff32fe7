"""Rows in memory: some as centres, a block of them as neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mmgraph.knn.metric.block_products import BlockProducts
from mmgraph.knn.metric.similarity import pair_similarity
from mmgraph.knn.rows.chunks import rows_at_once
from mmgraph.knn.rows.distinct import distinct_rows
from mmgraph.knn.rows.members import Members


@dataclass(frozen=True)
class Centres:
    """Rows whose lists are wanted.

    Attributes:
        id: int64 ``[B]``, their places in the table.
        x: ``[B, D]``, none of them zero.
        norm: float64 ``[B]``.
    """

    id: Tensor
    x: Tensor
    norm: Tensor

    def __getitem__(self, chosen: Tensor) -> Centres:
        return Centres(self.id[chosen], self.x[chosen], self.norm[chosen])


@dataclass(frozen=True)
class RowBlock:
    """The distinct rows among some rows of a table.

    Attributes:
        x: ``[U, D]``.
        norm: float64 ``[U]``.
        product: float32 ``[U, D']``, the rows as neighbours.
        members: The ids of each distinct row.
    """

    x: Tensor
    norm: Tensor
    product: Tensor
    members: Members


def row_block(rows: Centres, products: BlockProducts) -> RowBlock:
    """Find the distinct rows, and make them neighbours.

    Args:
        rows: Rows of the table, their ids ascending.
        products: The metric as products.

    Returns:
        The block.

    Example:
        >>> from mmgraph.knn.rows.row_source import RowSource
        >>> from mmgraph.knn.rows.survey import survey
        >>> x = torch.tensor([[1.0], [2.0], [1.0]])
        >>> found = survey(RowSource(x), "cosine")
        >>> rows = Centres(torch.tensor([5, 6, 7]), x, found.norm)
        >>> block = row_block(rows, BlockProducts("cosine", found))
        >>> block.members.id.tolist(), block.members.size.tolist()
        ([5, 7, 6], [2, 1])
    """
    first, group = distinct_rows(rows.x)
    members = Members.of(group, rows.id)
    if len(first) < len(group):
        rows = rows[first]
    product = products.neighbours(rows.x, rows.norm)
    return RowBlock(rows.x, rows.norm, product, members)


def similarity_across(
    centres: Centres, block: RowBlock, row: Tensor, col: Tensor, metric: str
) -> Tensor:
    """Similarity of a centre and a row of a block, as ``pair_similarity`` gives it.

    Args:
        centres: The centres.
        block: The rows.
        row: Centre of each pair.
        col: Distinct row of the block of each pair.
        metric: ``cosine``, ``ip`` or ``l2``.

    Returns:
        float32 ``[P]``.

    Shapes:
        row, col: ``[P]``.
    """
    result = torch.empty(len(row), dtype=torch.float32, device=row.device)
    step = 4 * rows_at_once(centres.x)
    for start in range(0, len(row), step):
        a, b = row[start : start + step], col[start : start + step]
        pair = torch.arange(len(a), device=row.device)
        result[start : start + step] = pair_similarity(
            torch.cat([centres.x[a], block.x[b]]),
            pair,
            pair + len(a),
            metric=metric,
            norm=torch.cat([centres.norm[a], block.norm[b]]),
        )
    return result
