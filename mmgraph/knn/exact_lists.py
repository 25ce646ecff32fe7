"""Exact lists of all rows of one table, from the symmetric search."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.knn.candidates import MARGIN
from mmgraph.knn.ranking import take_best
from mmgraph.knn.self_products import SelfProducts
from mmgraph.knn.similarity import pair_similarity
from mmgraph.knn.symmetric_search import symmetric_search

_SCORES, _PAIRS = 2**22, 2**18  # held at a time: 16 MiB each, with their ids


def exact_lists(
    products: SelfProducts,
    norm: Tensor,
    metric: str,
    need: int,
    *,
    include_self: bool,
    block_size: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Each row's ``need`` nearest rows in the order of every list.

    The search proposes; every pair that float32 rounding could have put on the wrong
    side of the ``need``-th place is then ranked by its similarity in float64, as in
    :func:`mmgraph.knn.candidates.candidate_pairs`.

    Args:
        products: The rows.
        norm: ``row_norms`` of all rows of ``products.x``.
        metric: ``cosine``, ``ip`` or ``l2``.
        need: Neighbours per row, at most the number of candidates.
        include_self: Whether a row is a candidate of its own list.
        block_size: Height of a tile of the search.

    Returns:
        Neighbours and similarities, as positions among the rows of ``products``.

    Shapes:
        returns ``[U, need]`` twice.

    Example:
        >>> from mmgraph.knn.self_products import self_products
        >>> x = torch.tensor([[1.0], [2.0], [4.0]])
        >>> norm = x[:, 0].double()
        >>> table = self_products(x, norm, "l2")
        >>> exact_lists(table, norm, "l2", 1, include_self=False)
        (tensor([[1],
                [0],
                [1]]), tensor([[-1.],
                [-1.],
                [-4.]]))
    """
    total = len(products)
    candidates = total if include_self else total - 1
    count = min(need + MARGIN, candidates)
    best = symmetric_search(
        products, count, include_self=include_self, block_size=block_size
    )
    near = best.score >= best.score[:, need - 1, None] - products.tolerance
    # The last one is still near: the list may be cut in the middle of a tie.
    cut = near[:, -1] if count < candidates else torch.zeros(total, dtype=torch.bool)

    def ranked(row: Tensor, col: Tensor) -> tuple[Tensor, Tensor]:
        a, b = row, col
        if products.row is not None:
            a, b = products.row[row], products.row[col]
        similarity = pair_similarity(products.x, a, b, metric=metric, norm=norm)
        return take_best(row, col, similarity, need)

    found = torch.empty((total, need), dtype=torch.long)
    value = torch.empty((total, need))
    for part in _pieces(~cut, max(1, _PAIRS // count)):
        row, place = near[part].nonzero().T
        found[part], value[part] = ranked(part[row], best.index[part[row], place])
    for part in _pieces(cut, max(1, _SCORES // total)):
        full = products.full_scores(part)
        if not include_self:
            full[torch.arange(len(part)), part] = -torch.inf
        last = full.topk(need).values[:, -1:]
        row, col = (full >= last - products.tolerance).nonzero().T
        found[part], value[part] = ranked(part[row], col)
    return found, value


def _pieces(mask: Tensor, size: int) -> list[Tensor]:
    where = mask.nonzero().flatten()
    return [piece for piece in where.split(size) if len(piece)]
