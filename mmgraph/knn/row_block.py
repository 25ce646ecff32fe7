"""Rows in memory: some as centres, a block of them as neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mmgraph.knn.block_products import BlockProducts
from mmgraph.knn.blocks import rows_at_once
from mmgraph.knn.distinct import distinct_rows
from mmgraph.knn.similarity import pair_similarity


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
        member: int64 ``[B]``, ids, those of equal rows together and ascending.
        begin: int64 ``[U]``, where each distinct row's ids begin in ``member``.
        size: int64 ``[U]``, how many it has.
    """

    x: Tensor
    norm: Tensor
    product: Tensor
    member: Tensor
    begin: Tensor
    size: Tensor

    def members(self, index: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """The first ids of distinct rows.

        Args:
            index: Distinct rows of this block.
            most: Ids wanted of each.

        Returns:
            How many ids each has, and the ids one after the other.

        Shapes:
            index: ``[P]``; returns ``[P]`` and ``[sum]``.
        """
        count = self.size[index].clamp(max=most)
        offset = torch.arange(int(count.sum()), device=index.device)
        offset -= (count.cumsum(0) - count).repeat_interleave(count)
        begin = self.begin[index].repeat_interleave(count)
        return count, self.member[begin + offset]


def row_block(rows: Centres, products: BlockProducts) -> RowBlock:
    """Find the distinct rows, and make them neighbours.

    Args:
        rows: Rows of the table, their ids ascending.
        products: The metric as products.

    Returns:
        The block.

    Example:
        >>> from mmgraph.knn.row_source import RowSource
        >>> from mmgraph.knn.survey import survey
        >>> x = torch.tensor([[1.0], [2.0], [1.0]])
        >>> found = survey(RowSource(x), "cosine")
        >>> rows = Centres(torch.tensor([5, 6, 7]), x, found.norm)
        >>> block = row_block(rows, BlockProducts("cosine", found))
        >>> block.member.tolist(), block.begin.tolist(), block.size.tolist()
        ([5, 7, 6], [0, 2], [2, 1])
    """
    first, group = distinct_rows(rows.x)
    member, size = rows.id, torch.ones_like(first)
    if len(first) < len(group):
        member, size = rows.id[group.argsort(stable=True)], group.bincount()
        rows = rows[first]
    product = products.neighbours(rows.x, rows.norm)
    begin = size.cumsum(0) - size
    return RowBlock(rows.x, rows.norm, product, member, begin, size)


def similarity_across(
    centres: Centres, block: RowBlock, row: Tensor, col: Tensor, metric: str
) -> Tensor:
    """:func:`mmgraph.knn.similarity.pair_similarity` of a centre and a row of a block.

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
