"""Every row's best scores within one table, each product made once."""

from __future__ import annotations

import torch

from mmgraph.knn.metric.self_products import SelfProducts
from mmgraph.knn.search.backends import scores
from mmgraph.knn.search.best_so_far import BestSoFar

_HEIGHT, _WIDTH = 1024, 2048  # of a tile: 8 MiB of scores


def symmetric_search(
    products: SelfProducts,
    count: int,
    *,
    include_self: bool,
    block_size: int | None = None,
) -> BestSoFar:
    """The ``count`` best scores of each row among all rows of the table.

    Only the tiles on and above the diagonal of the N x N matrix are made; a tile above
    it serves its rows as centres, then its columns. The tiles on the diagonal come
    first, so that afterwards few scores are better than what is known, and a
    comparison sorts out the rest. Memory: two blocks of rows, a tile and the result.

    Args:
        products: The rows and how their products are scored.
        count: Scores to keep per row, at most the number of candidates.
        include_self: Whether a row is a candidate of its own list.
        block_size: Height of a tile.

    Returns:
        Scores and rows, on the CPU.

    Example:
        >>> from mmgraph.knn.metric.self_products import self_products
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
        >>> table = self_products(x, x.norm(dim=1).double(), "cosine")
        >>> symmetric_search(table, 1, include_self=False).index.tolist()
        [[1], [0], [1]]
    """
    total = len(products)
    height = min(block_size or _HEIGHT, total)
    best = BestSoFar.empty(total, count)
    for start in range(0, total, height):
        rows = products.rows(start, start + height)
        score = products.score(scores(rows, rows), start, start + height)
        if not include_self:
            score.fill_diagonal_(-torch.inf)
        best.add(score, start, start)
    for left in range(0, total, _WIDTH):
        right = min(left + _WIDTH, total)
        columns = products.rows(left, right)
        for start in range(0, right, height):
            stop = start + height
            first = max(left, stop)
            if first >= right:
                break
            product = scores(products.rows(start, stop), columns[first - left :])
            best.add(products.score(product, first, right), start, first)
            # The other direction: the rows are the neighbours, one gain per row.
            product = products.score(product.T, start, stop).T
            best.add_transposed(product, first, start)
    return best
