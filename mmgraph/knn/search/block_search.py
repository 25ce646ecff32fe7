"""Exact neighbours of some rows, while the others go by in blocks."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from mmgraph.functional.block_sizes import BLOCK_SCORES, CANDIDATE_PAIRS
from mmgraph.knn.metric.products import MetricProducts
from mmgraph.knn.metric.similarity import pair_similarity
from mmgraph.knn.rows.duplicates import distinct_rows
from mmgraph.knn.rows.usable_rows import UsableRows
from mmgraph.knn.search.backends import Search, build_search, inner_products
from mmgraph.knn.search.drop_self import drop_self
from mmgraph.knn.search.row_block import RowBlock, row_block
from mmgraph.knn.search.running_top_k import RunningTopK

MARGIN = 8  # rows proposed beyond k: with them ties are rarely cut


class BlockSearch:
    """The ``k`` nearest rows of every centre among the blocks added so far.

    Args:
        centres: Distinct rows.
        products: The metric as products.
        k: Neighbours per centre, the centre itself being one where it goes by.

    Attributes:
        nearest: The neighbours, their ids and similarities.
    """

    def __init__(self, centres: UsableRows, products: MetricProducts, k: int) -> None:
        self.centres, self.products = centres, products
        self.nearest = RunningTopK(len(centres), k, centres.x.device)
        # Each centre's best products, of distinct rows.
        self._best = torch.full_like(self.nearest.score, -torch.inf)

    def add(self, block: RowBlock, search: Search, centres_at_once: int) -> None:
        """Compare one more block with all centres.

        At least ``k`` rows that went by are truly no worse than the k-th best product
        minus one rounding error; so a row whose product lies more than the tolerance
        below it is left out for good. What is left gets its similarity in float64. If
        the last row that the search proposed is still near, the proposal may be cut in
        the middle of a tie; then all of the block's products of that centre are gone
        through, a few centres at a time: memory grows with the block, not with the
        ties.

        Args:
            block: Rows that were not in a block before.
            search: Over ``block.product``.
            centres_at_once: Centres the search is asked for together, at most.
        """
        k, distinct = self.nearest.score.size(1), len(block.rows)
        pairs = CANDIDATE_PAIRS.on(self.centres.x.device)
        count = min(k + MARGIN, distinct)
        copies = int(block.groups.size.max().clamp(max=k))
        step = max(1, min(centres_at_once, pairs // (count * copies)))
        for start in range(0, len(self.centres), step):
            part = slice(start, start + step)
            query = self.products.centres(self.centres.x[part], self.centres.norm[part])
            product, index = search(query, count)
            limit = self._raise_bound(part, product) - self.products.tolerance
            near = product >= limit[:, None]
            cut = near[:, -1] & (count < distinct)
            near &= ~cut[:, None]
            row = near.nonzero()[:, 0]
            self._add_pairs(block, row + start, index[near])
            whole = cut.nonzero().flatten()
            for some in whole.split(max(1, pairs // len(block.groups.id))):
                every = inner_products(query[some], block.product)
                row, col = (every >= limit[some, None]).nonzero().T
                self._add_pairs(block, some[row] + start, col)

    def _raise_bound(self, part: slice, product: Tensor) -> Tensor:
        """The k-th best product of some centres, those of one more block included."""
        best = self._best[part]
        k = best.size(1)
        better = (product[:, 0] > best[:, -1]).nonzero().flatten()
        both = torch.cat([best[better], product[better, :k]], 1)
        best[better] = both.topk(k).values
        return best[:, -1]

    def _add_pairs(self, block: RowBlock, row: Tensor, col: Tensor) -> None:
        """Add pairs of a centre and a distinct row of the block."""
        similarity = pair_similarity(
            self.centres.x,
            row,
            col,
            metric=self.products.metric,
            norm=self.centres.norm,
            others=(block.rows.x, block.rows.norm),
        )
        useful = similarity >= self.nearest.score[row, -1]
        self.nearest.add_groups(
            row[useful], col[useful], similarity[useful], block.groups
        )


def nearest_rows(
    blocks: Iterable[UsableRows],
    products: MetricProducts,
    centres: UsableRows,
    k: int,
    *,
    include_self: bool,
    backend: str,
) -> tuple[Tensor, Tensor]:
    """Find the ``k`` nearest rows of every centre.

    They are those of :func:`mmgraph.knn.knn_graph`, whatever the blocks: float32
    products propose, a proven tolerance decides what may be left out, and the
    similarity of what is left is summed in float64. Equal rows of a block are searched
    once.

    Args:
        blocks: The rows that may be neighbours, their ids ascending.
        products: The metric as products.
        centres: Rows whose neighbours are searched.
        k: Neighbours per centre; at least as many rows are candidates.
        include_self: Let a row be its own neighbour.
        backend: ``torch``, ``faiss`` or ``faiss-gpu``, as resolved.

    Returns:
        Ids int64 and similarities float32.

    Shapes:
        Returns ``[B, k]`` twice.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
        >>> rows = UsableRows.of(x, x.double().norm(dim=1))
        >>> products = MetricProducts("cosine", torch.zeros(2), 1.0)
        >>> blocks, centre = [rows[:2], rows[2:]], rows[2:]
        >>> options = {"include_self": False, "backend": "torch"}
        >>> nearest_rows(blocks, products, centre, 1, **options)
        (tensor([[1]]), tensor([[0.0995]]))
    """
    first, group = distinct_rows(centres.x)
    distinct = centres[first] if len(first) < len(group) else centres
    # One more where the row itself has to be taken out again.
    search = BlockSearch(distinct, products, k + (not include_self))
    for rows in blocks:
        if len(rows):
            block = row_block(rows, products)
            at_once = BLOCK_SCORES.rows(len(rows), rows.x.device)
            search.add(block, build_search(backend, block.product), at_once)
    neighbour, similarity = search.nearest.neighbour[group], search.nearest.score[group]
    if include_self:
        return neighbour, similarity
    return drop_self(centres.id, neighbour, similarity)
