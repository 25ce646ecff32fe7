"""Pairs that certainly contain every row's nearest rows."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.knn.metric.inner_product import InnerProductSpace
from mmgraph.knn.search.backends import Search, scores

MARGIN = 8  # rows proposed beyond those needed: the proof rarely fails with it


def candidate_pairs(
    space: InnerProductSpace, search: Search, start: int, stop: int, need: int
) -> tuple[Tensor, Tensor]:
    """Propose neighbours for the centres ``start`` to ``stop``.

    With the ``need``-th best float32 score s, at least ``need`` rows are truly no
    worse than s minus one rounding error, and a row that scores below s minus the
    tolerance is truly worse than that: it can be left out. If the last row that the
    search returned is still above, the list may be cut in the middle of a tie; then
    all rows above are taken from the full scores of that centre.

    Args:
        space: The rows and the tolerance of their products.
        search: A backend over ``space.base``.
        start: First centre.
        stop: One past the last centre.
        need: Nearest rows wanted per centre, at most the number of rows.

    Returns:
        ``(centre, neighbour)``, int64, in no order, no pair twice.

    Example:
        >>> from mmgraph.knn.search.backends import build_search
        >>> x = torch.eye(3)
        >>> space = InnerProductSpace(x, x, 1e-6)
        >>> row, col = candidate_pairs(space, build_search("torch", x), 0, 1, 1)
        >>> row.tolist(), col.tolist()
        ([0], [0])
    """
    query, total = space.query[start:stop], len(space.base)
    count = min(need + MARGIN, total)
    score, index = search(query, count)
    near = score >= score[:, need - 1, None] - space.tolerance
    cut = near[:, -1] if count < total else torch.zeros_like(near[:, -1])
    near = near & ~cut[:, None]
    row, col = near.nonzero()[:, 0], index[near]
    if cut.any():
        cut_row = cut.nonzero().flatten()
        full = scores(query[cut_row], space.base)
        last = full.topk(need).values[:, -1:]
        more_row, more_col = (full >= last - space.tolerance).nonzero().T
        row = torch.cat([row, cut_row[more_row]])
        col = torch.cat([col, more_col])
    return row + start, col
