"""Exact neighbours of the rows of one matrix in memory, each product made once."""

from __future__ import annotations

from torch import Tensor

from mmgraph.functional.block_sizes import CANDIDATE_PAIRS, TIED_SCORES
from mmgraph.knn.metric.self_products import SelfProducts
from mmgraph.knn.rows.row_groups import RowGroups
from mmgraph.knn.search.block_search import MARGIN
from mmgraph.knn.search.running_top_k import RunningTopK
from mmgraph.knn.search.symmetric_search import symmetric_search


def exact_neighbours(
    products: SelfProducts,
    groups: RowGroups,
    k: int,
    *,
    block_size: int | None = None,
) -> RunningTopK:
    """The ``k`` nearest rows of each distinct row, itself and its copies included.

    Args:
        products: The distinct rows.
        groups: The ids of each.
        k: Neighbours per row, at most the number of ids.
        block_size: Height of a tile of the search.

    Returns:
        Ids and similarities, a row per distinct row.

    Example:
        >>> import torch
        >>> from mmgraph.knn.metric.self_products import self_products
        >>> from mmgraph.knn.rows.matrix_statistics import matrix_statistics
        >>> x = torch.tensor([[1.0], [2.0], [4.0]])
        >>> products = self_products(x, matrix_statistics(x, "l2"), "l2")
        >>> groups = RowGroups.of(torch.arange(3))
        >>> exact_neighbours(products, groups, 2).neighbour.tolist()
        [[0, 1], [1, 0], [2, 1]]
    """
    count = num_proposals(len(products), k)
    proposed = symmetric_search(products, count, block_size=block_size)
    return rank_proposals(proposed, products, groups, k)


def num_proposals(num_rows: int, k: int) -> int:
    """Scores to keep per row, so that few are cut off in the middle of a tie.

    Example:
        >>> num_proposals(100, 10), num_proposals(12, 10)
        (18, 12)
    """
    return min(k + MARGIN, num_rows)


def rank_proposals(
    proposed: RunningTopK,
    products: SelfProducts,
    groups: RowGroups,
    k: int,
    first_centre: int = 0,
) -> RunningTopK:
    """Rank by exact similarity what a search has proposed.

    Every pair that float32 rounding could have put on the wrong side of the k-th place
    gets its similarity in float64, as in
    :class:`mmgraph.knn.search.block_search.BlockSearch`. Centres whose proposals may
    be cut in a tie are searched again.

    Args:
        proposed: The best :func:`num_proposals` scores of some centres.
        products: The distinct rows.
        groups: The ids of each.
        k: Neighbours per row.
        first_centre: The row that is the first centre.

    Returns:
        Ids and similarities of the neighbours of these centres.
    """
    nearest = RunningTopK(len(proposed.score), k)
    least = proposed.score[:, min(k, len(products)) - 1, None] - products.tolerance
    near = proposed.score >= least
    # The last one is still near: they may be cut in the middle of a tie.
    cut = near[:, -1] & (near.size(1) < len(products))
    copies = int(groups.size.max().clamp(max=k))
    step = max(1, CANDIDATE_PAIRS.on("cpu") // (near.size(1) * copies))
    for part in (~cut).nonzero().flatten().split(step):
        row, column = near[part].nonzero().T
        row = part[row]
        col = proposed.neighbour[row, column]
        similarity = products.similarity(row + first_centre, col)
        nearest.add_groups(row, col, similarity, groups)
    row = cut.nonzero().flatten()
    again = rank_all(row + first_centre, products, groups, k)
    nearest.neighbour[row], nearest.score[row] = again.neighbour, again.score
    return nearest


def rank_all(
    centre: Tensor, products: SelfProducts, groups: RowGroups, k: int
) -> RunningTopK:
    """The nearest rows of a few centres, from their scores for all rows.

    Args:
        centre: Positions of the centres among the rows.
        products: The distinct rows.
        groups: The ids of each.
        k: Neighbours per centre.

    Returns:
        Ids and similarities.

    Shapes:
        centre: ``[C]``.

    Example:
        >>> import torch
        >>> from mmgraph.knn.metric.self_products import self_products
        >>> from mmgraph.knn.rows.matrix_statistics import matrix_statistics
        >>> x = torch.tensor([[1.0], [2.0], [4.0]])
        >>> products = self_products(x, matrix_statistics(x, "l2"), "l2")
        >>> groups = RowGroups.of(torch.arange(3))
        >>> rank_all(torch.tensor([2]), products, groups, 2).score.tolist()
        [[-0.0, -4.0]]
    """
    nearest, start = RunningTopK(len(centre), k), 0
    at_once = TIED_SCORES.rows(len(products))
    for part in centre.split(at_once) if len(centre) else ():
        score = products.full_scores(part)
        last = score.topk(min(k, len(products))).values[:, -1:]
        row, col = (score >= last - products.tolerance).nonzero().T
        similarity = products.similarity(part[row], col)
        nearest.add_groups(row + start, col, similarity, groups)
        start += len(part)
    return nearest
