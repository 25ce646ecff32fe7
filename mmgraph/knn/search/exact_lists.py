"""Exact lists of all rows of one table, from the symmetric search."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.knn.metric.self_products import SelfProducts
from mmgraph.knn.metric.similarity import pair_similarity
from mmgraph.knn.search.best_so_far import BestSoFar
from mmgraph.knn.search.candidates import MARGIN
from mmgraph.knn.search.ranking import take_best
from mmgraph.knn.search.symmetric_search import symmetric_search

_SCORES, _PAIRS = 2**22, 2**18  # held at a time: 16 MiB of scores, 6 of pairs


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
    :func:`mmgraph.knn.search.candidates.candidate_pairs`.

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
        >>> from mmgraph.knn.metric.self_products import self_products
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
    candidates = len(products) - (not include_self)
    count = min(need + MARGIN, candidates)
    best = symmetric_search(
        products, count, include_self=include_self, block_size=block_size
    )
    found, value, cut = rank_proposed(best, products, norm, metric, need, candidates)
    cut_row = cut.nonzero().flatten()
    found[cut_row], value[cut_row] = lists_of(
        cut_row, products, norm, metric, need, include_self=include_self
    )
    return found, value


def rank_proposed(
    best: BestSoFar,
    products: SelfProducts,
    norm: Tensor,
    metric: str,
    need: int,
    candidates: int,
    first_centre: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Rank what a search has proposed, and say which lists it may have cut in a tie.

    Args:
        best: Best scores of some centres.
        products: The rows.
        norm: ``row_norms`` of all rows of ``products.x``.
        metric: ``cosine``, ``ip`` or ``l2``.
        need: Neighbours per row.
        candidates: Rows that each centre could have in its list.
        first_centre: The centre that ``best`` begins with.

    Returns:
        Neighbours, similarities, and a mask of the centres to search again.

    Example:
        >>> from mmgraph.knn.metric.self_products import self_products
        >>> x = torch.tensor([[1.0], [2.0], [4.0]])
        >>> table = self_products(x, x[:, 0].double(), "l2")
        >>> best = symmetric_search(table, 2, include_self=False)
        >>> rank_proposed(best, table, x[:, 0].double(), "l2", 1, 2)[0].tolist()
        [[1], [0], [1]]
    """
    near = best.score >= best.score[:, need - 1, None] - products.tolerance
    # The last one is still near: the list may be cut in the middle of a tie.
    whole = best.score.size(1) >= candidates
    cut = torch.zeros_like(near[:, -1]) if whole else near[:, -1]
    found = torch.zeros((len(near), need), dtype=torch.long)
    value = torch.zeros((len(near), need), dtype=torch.float32)
    for part in _pieces((~cut).nonzero().flatten(), _PAIRS // near.size(1)):
        row, place = near[part].nonzero().T
        row = part[row]
        found[part], value[part] = _ranked(
            row + first_centre, best.index[row, place], products, norm, metric, need
        )
    return found, value, cut


def lists_of(
    centre: Tensor,
    products: SelfProducts,
    norm: Tensor,
    metric: str,
    need: int,
    *,
    include_self: bool,
) -> tuple[Tensor, Tensor]:
    """The lists of a few centres, from their scores for all rows.

    Args:
        centre: Their positions among the rows of ``products``, ascending.
        products: The rows.
        norm: ``row_norms`` of all rows of ``products.x``.
        metric: ``cosine``, ``ip`` or ``l2``.
        need: Neighbours per row, at most the number of candidates.
        include_self: Whether a row is a candidate of its own list.

    Returns:
        Neighbours and similarities, as positions among the rows of ``products``.

    Shapes:
        centre: ``[C]``; returns ``[C, need]`` twice.

    Example:
        >>> from mmgraph.knn.metric.self_products import self_products
        >>> x = torch.tensor([[1.0], [2.0], [4.0]])
        >>> norm = x[:, 0].double()
        >>> table = self_products(x, norm, "l2")
        >>> lists_of(torch.tensor([2]), table, norm, "l2", 1, include_self=False)
        (tensor([[1]]), tensor([[-4.]]))
    """
    found = [centre.new_zeros((0, need))]
    value = [torch.zeros((0, need), dtype=torch.float32)]
    for part in _pieces(centre, _SCORES // max(1, len(products))):
        full = products.full_scores(part)
        if not include_self:
            full[torch.arange(len(part)), part] = -torch.inf
        last = full.topk(need).values[:, -1:]
        row, col = (full >= last - products.tolerance).nonzero().T
        best, similarity = _ranked(part[row], col, products, norm, metric, need)
        found.append(best)
        value.append(similarity)
    return torch.cat(found), torch.cat(value)


def _ranked(
    row: Tensor,
    col: Tensor,
    products: SelfProducts,
    norm: Tensor,
    metric: str,
    need: int,
) -> tuple[Tensor, Tensor]:
    a, b = row, col
    if products.row is not None:
        a, b = products.row[row], products.row[col]
    similarity = pair_similarity(products.x, a, b, metric=metric, norm=norm)
    return take_best(row, col, similarity, need)


def _pieces(where: Tensor, size: int) -> list[Tensor]:
    return [piece for piece in where.split(max(1, size)) if len(piece)]
