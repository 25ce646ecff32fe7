"""Exact lists of some centres among the rows of a table that is read in blocks."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.knn.metric.block_products import BlockProducts
from mmgraph.knn.rows.distinct import distinct_rows
from mmgraph.knn.rows.row_source import RowSource
from mmgraph.knn.search.backends import build_search
from mmgraph.knn.search.block_search import search_block
from mmgraph.knn.search.row_block import Centres, row_block
from mmgraph.knn.search.running_lists import RunningLists
from mmgraph.knn.search.without_own import without_own

_PRODUCTS = {"cpu": 2**23, "cuda": 2**28}  # of which a search may make a table


def nearest_in_blocks(
    source: RowSource,
    products: BlockProducts,
    centres: Centres,
    width: int,
    *,
    include_self: bool,
    block_rows: int,
    backend: str,
) -> tuple[Tensor, Tensor]:
    """Find the ``width`` nearest rows of every centre.

    The lists are those of :func:`mmgraph.knn.knn_graph`, whatever the blocks: float32
    products propose, a proven tolerance decides what may be left out, and the
    similarity of what is left is summed in float64. Equal rows of a block are searched
    once.

    Args:
        source: The table.
        products: The metric as products.
        centres: Rows whose lists are wanted.
        width: Entries per list; at least as many rows are candidates.
        include_self: Whether a row is a candidate of its own list.
        block_rows: Rows of the table read at a time.
        backend: ``torch``, ``faiss`` or ``faiss-gpu``, as resolved.

    Returns:
        Ids int64 and similarities float32.

    Shapes:
        Returns ``[B, width]`` twice.

    Example:
        >>> from mmgraph.knn.rows.survey import survey
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
        >>> source = RowSource(x)
        >>> products = BlockProducts("cosine", survey(source, "cosine"))
        >>> centres = Centres(torch.tensor([2]), x[2:], torch.ones(1).double())
        >>> options = {"include_self": False, "block_rows": 2, "backend": "torch"}
        >>> nearest_in_blocks(source, products, centres, 1, **options)
        (tensor([[1]]), tensor([[0.0995]]))
    """
    # One more than wanted where the row itself has to be taken out again.
    need = width + (not include_self)
    first, group = distinct_rows(centres.x)
    distinct = centres[first] if len(first) < len(group) else centres
    query = products.centres(distinct.x, distinct.norm)
    lists = RunningLists(len(query), need, query.device)
    products_at_once = _PRODUCTS["cpu" if query.device.type == "cpu" else "cuda"]
    at_once = max(1, products_at_once // block_rows)
    for start in range(0, len(source), block_rows):
        stop = min(start + block_rows, len(source))
        rows = kept_rows(source, products.survey.norm, start, stop, query.device)
        if len(rows.id):
            block = row_block(rows, products)
            search = build_search(backend, block.product)
            search_block(block, search, distinct, query, lists, products, at_once)
    neighbour, similarity = lists.neighbour[group], lists.similarity[group]
    if include_self:
        return neighbour, similarity
    return without_own(centres.id, neighbour, similarity)


def kept_rows(
    source: RowSource,
    norm: Tensor,
    start: int,
    stop: int,
    device: torch.device | str = "cpu",
) -> Centres:
    """Read the rows that take part in the graph.

    Args:
        source: The table.
        norm: Norms of all its rows, 0 for those that take no part.
        start: First row.
        stop: One past the last row.
        device: Where to put them.

    Example:
        >>> x = torch.tensor([[1.0], [0.0], [2.0]])
        >>> kept_rows(RowSource(x), x[:, 0].double(), 1, 3).id
        tensor([2])
    """
    x, norm = source.read(start, stop), norm[start:stop]
    kept = norm.nonzero().flatten()
    if len(kept) < len(x):
        x, norm = x[kept], norm[kept]
    return Centres((kept + start).to(device), x.to(device), norm.to(device))
