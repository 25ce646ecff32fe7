"""A block of rows as neighbours."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mmgraph.knn.metric.products import MetricProducts
from mmgraph.knn.rows.duplicates import distinct_rows
from mmgraph.knn.rows.row_groups import RowGroups
from mmgraph.knn.rows.usable_rows import UsableRows


@dataclass(frozen=True)
class RowBlock:
    """The distinct rows among some rows of a matrix.

    Attributes:
        rows: The first row of each group of equal rows.
        product: float32 ``[U, D']``, these rows as neighbours.
        groups: The ids of each distinct row.
    """

    rows: UsableRows
    product: Tensor
    groups: RowGroups


def row_block(rows: UsableRows, products: MetricProducts) -> RowBlock:
    """Find the distinct rows, and make them neighbours.

    Args:
        rows: Rows of the matrix, their ids ascending.
        products: The metric as products.

    Returns:
        The block.

    Example:
        >>> import torch
        >>> x = torch.tensor([[1.0], [2.0], [1.0]])
        >>> rows = UsableRows(torch.tensor([5, 6, 7]), x, x[:, 0].double())
        >>> products = MetricProducts("cosine", torch.zeros(1), 1.0)
        >>> block = row_block(rows, products)
        >>> block.groups.id.tolist(), block.groups.size.tolist()
        ([5, 7, 6], [2, 1])
    """
    first, group = distinct_rows(rows.x)
    groups = RowGroups.of(group, rows.id)
    if len(first) < len(group):
        rows = rows[first]
    return RowBlock(rows, products.neighbours(rows.x, rows.norm), groups)
