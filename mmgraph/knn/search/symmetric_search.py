"""Every row's best scores within one matrix, each product made once."""

from __future__ import annotations

from mmgraph.functional.block_sizes import TILE_HEIGHT, TILE_WIDTH, halved
from mmgraph.knn.metric.self_products import SelfProducts
from mmgraph.knn.search.backends import inner_products
from mmgraph.knn.search.running_top_k import RunningTopK


def symmetric_search(
    products: SelfProducts, count: int, *, block_size: int | None = None
) -> RunningTopK:
    """The ``count`` best scores of each row among all rows, itself included.

    Only the tiles on and above the diagonal of the N x N matrix are made; a tile above
    it serves its rows as centres, then its columns. The tiles on the diagonal come
    first, so that afterwards few scores are better than what is known, and a
    comparison sorts out the rest. Memory: two blocks of rows, a tile and the result.

    Args:
        products: The rows and how their products are scored.
        count: Scores to keep per row, at most the number of rows.
        block_size: Height of a tile.

    Returns:
        Scores and rows, on the CPU; of equal scores any.

    Example:
        >>> import torch
        >>> from mmgraph.knn.metric.self_products import self_products
        >>> from mmgraph.knn.rows.matrix_statistics import matrix_statistics
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
        >>> products = self_products(x, matrix_statistics(x, "cosine"), "cosine")
        >>> symmetric_search(products, 2).neighbour.tolist()
        [[0, 1], [1, 0], [2, 1]]
    """
    total = len(products)
    height = min(halved(block_size) if block_size else TILE_HEIGHT.on("cpu"), total)
    width = TILE_WIDTH.on("cpu")
    best = RunningTopK(total, count)
    for start in range(0, total, height):
        rows = products.rows(start, start + height)
        product = inner_products(rows, rows)
        best.add_tile(products.score(product, start, start + height), start, start)
    for left in range(0, total, width):
        right = min(left + width, total)
        columns = products.rows(left, right)
        for start in range(0, right, height):
            stop = start + height
            first = max(left, stop)
            if first >= right:
                break
            rows = products.rows(start, stop)
            product = inner_products(rows, columns[first - left :])
            best.add_tile(products.score(product, first, right), first, start)
            # The other direction: the rows are the neighbours, one gain per row.
            product = products.score(product.T, start, stop).T
            best.add_tile_transposed(product, start, first)
    return best
