"""The best items of users, searched in tiles of scores that stay in a core's cache."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.functional.block_sizes import RANKED_TILE
from mmgraph.functional.graph.adjacency import Adjacency


def best_in_tiles(
    user: Tensor, item: Tensor, seen: Adjacency, k: int
) -> tuple[Tensor, Tensor]:
    """The ``k`` best unseen items of each user, a tile of items at a time.

    A whole row of scores of a million items does not stay in a cache, and few such rows
    fit into memory at once, so that all item embeddings are read again for each. A tile
    is searched only where its best score is above the ``k``-th so far.

    Args:
        user: One row per user.
        item: One row per item.
        seen: The items of each user, as
            :func:`~mmgraph.functional.recommend.unseen.seen_items` gives them.
        k: Items per user, at most as many as there are.

    Shapes:
        - **input:** :math:`(B, d)`, :math:`(I, d)`
        - **output:** scores :math:`(B, k)`, best first, and items :math:`(B, k)` int64;
          minus infinity where no item is left. Which of the items that score alike come
          first is open; NaN comes before every number.

    Example:
        >>> seen = Adjacency.from_edge_index(
        ...     torch.tensor([[2], [0]]), num_src=3, num_dst=1
        ... )
        >>> item = torch.tensor([[3.0], [4.0], [9.0]])
        >>> best_in_tiles(torch.ones(1, 1), item, seen, k=2)
        (tensor([[4., 3.]]), tensor([[1, 0]]))
    """
    best = user.new_full((user.size(0), k), float("-inf"))
    items = torch.zeros(best.shape, dtype=torch.long, device=user.device)
    col, order = seen.col.long().sort()
    row = seen.row().long()[order]
    starts = torch.arange(0, item.size(0), RANKED_TILE, device=user.device)
    bounds = [*torch.searchsorted(col, starts).tolist(), len(col)]
    tiles = item.split(RANKED_TILE)
    for number, (start, tile) in enumerate(zip(starts.tolist(), tiles, strict=True)):
        scores = user @ tile.t()
        inside = slice(bounds[number], bounds[number + 1])
        scores[row[inside], col[inside] - start] = float("-inf")
        better = (~(scores.amax(dim=1) <= best[:, -1])).nonzero().squeeze(1)  # NaN, too
        if better.numel():
            value, place = scores[better].topk(min(k, len(tile)), dim=1)
            value = torch.cat([best[better], value], dim=1)
            place = torch.cat([items[better], place + start], dim=1)
            best[better], chosen = value.topk(k, dim=1)
            items[better] = place.gather(1, chosen)
    return best, items
