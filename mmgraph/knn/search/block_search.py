"""One block of rows against running lists."""

from __future__ import annotations

from torch import Tensor

from mmgraph.knn.metric.block_products import BlockProducts
from mmgraph.knn.search.backends import Search, scores
from mmgraph.knn.search.row_block import Centres, RowBlock, similarity_across
from mmgraph.knn.search.running_lists import RunningLists

_MARGIN = 8  # rows proposed beyond those needed: a list is rarely cut with it
_PAIRS = 2**18  # pairs handled at a time


def search_block(
    block: RowBlock,
    search: Search,
    centres: Centres,
    query: Tensor,
    lists: RunningLists,
    products: BlockProducts,
    centres_at_once: int,
) -> None:
    """Let one block into the lists of all centres.

    A row whose product lies more than the tolerance below the bound of the running
    lists is left out for good; what is left gets its similarity in float64. If the
    last row that the search proposed is still near, the proposal may be cut in the
    middle of a tie; then all of the block's products of that centre are gone through,
    a few centres at a time: memory grows with the block, not with the ties.

    Args:
        block: Rows that have not been in a block before.
        search: Over ``block.product``.
        centres: Distinct rows.
        query: The centres as products.
        lists: Their lists, changed in place.
        products: The metric as products.
        centres_at_once: Centres the search is asked for together, at most.

    Shapes:
        query: ``[B, D']``.
    """
    need, distinct = lists.neighbour.size(1), len(block.x)
    count = min(need + _MARGIN, distinct)
    copies = int(block.members.size.max().clamp(max=need))
    step = max(1, min(centres_at_once, _PAIRS // (count * copies)))
    for start in range(0, len(query), step):
        part = slice(start, start + step)
        product, index = search(query[part], count)
        limit = lists.raise_bound(part, product) - products.tolerance
        near = product >= limit[:, None]
        cut = near[:, -1] & (count < distinct)
        near &= ~cut[:, None]
        row = near.nonzero()[:, 0]
        _merge(block, centres, lists, products.metric, row + start, index[near])
        whole = cut.nonzero().flatten()
        for some in whole.split(max(1, _PAIRS // len(block.members.id))):
            every = scores(query[some + start], block.product)
            row, col = (every >= limit[some, None]).nonzero().T
            _merge(block, centres, lists, products.metric, some[row] + start, col)


def _merge(
    block: RowBlock,
    centres: Centres,
    lists: RunningLists,
    metric: str,
    row: Tensor,
    col: Tensor,
) -> None:
    """Pairs of a centre and a distinct row of the block into the lists."""
    similarity = similarity_across(centres, block, row, col, metric)
    useful = similarity >= lists.similarity[row, -1]
    row, col, similarity = row[useful], col[useful], similarity[useful]
    # Of equal rows, the first are enough to fill a list.
    count, neighbour = block.members.first(col, lists.neighbour.size(1))
    lists.merge(
        row.repeat_interleave(count), neighbour, similarity.repeat_interleave(count)
    )
