"""Insert rows into an exact graph, or delete rows, without building it again."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mmgraph.knn.graph import check_range
from mmgraph.knn.metric.self_products import SelfProducts, self_products
from mmgraph.knn.metric.similarity import METRICS, pair_similarity, row_norms
from mmgraph.knn.search.backends import scores
from mmgraph.knn.search.best_so_far import BestSoFar
from mmgraph.knn.search.candidates import MARGIN
from mmgraph.knn.search.exact_lists import lists_of, rank_proposed
from mmgraph.knn.search.ranking import take_best

_HEIGHT, _WIDTH = 1024, 2048


@torch.no_grad()
def insert(
    edge_index: Tensor,
    similarity: Tensor,
    x: Tensor,
    k: int,
    *,
    num_new: int,
    metric: str = "cosine",
    include_self: bool = False,
) -> tuple[Tensor, Tensor]:
    """The graph of ``x`` from the graph of all but its last ``num_new`` rows.

    Equal to ``knn_graph(x, k)`` bit for bit, for one product of the new rows with all
    rows: it gives the lists of the new rows, and the scores that are good enough for
    the list of an old row. The lists of the others are copied.

    Args:
        edge_index: Graph of the old rows, as :func:`mmgraph.knn.knn_graph` made it.
        similarity: Its similarities.
        x: Features of all rows, the old ones first.
        k: Neighbours per row, as the graph was built with.
        num_new: How many rows at the end of ``x`` are new.
        metric: The metric of the graph.
        include_self: As the graph was built with.

    Returns:
        ``edge_index`` and ``similarity`` of all rows, on the CPU.

    Raises:
        ValueError: If the graph is not one of the old rows, or a row is not finite.

    Shapes:
        x: ``[N, D]``; edge_index: ``[2, E]``; similarity: ``[E]``.

    Example:
        >>> from mmgraph.knn import knn_graph
        >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]])
        >>> insert(*knn_graph(x[:2], 1), x, 1, num_new=1)[0]
        tensor([[2, 2, 0],
                [0, 1, 2]])
    """
    x, norm, kept = _checked(x, metric)
    num_old = len(x) - num_new
    old = int((kept < num_old).sum())
    before = _lists(edge_index, similarity, kept[:old], len(x), k, include_self)
    width = min(k, len(kept) - (not include_self))
    if width <= 0:
        return torch.zeros((2, 0), dtype=torch.long), torch.zeros(0)
    products = self_products(
        x, norm[kept], metric, kept if len(kept) < len(x) else None
    )
    candidates = len(kept) - (not include_self)
    best = BestSoFar.empty(len(kept) - old, min(width + MARGIN, candidates))
    bound = torch.full((old,), -torch.inf, dtype=torch.float32)
    if before[0].size(1) == width:
        last = products.score_of(before[1][:, -1], slice(0, old))
        bound = (last - products.tolerance).float()
    row, col = _search_new(products, old, best, bound, include_self=include_self)

    found = torch.zeros((len(kept), width), dtype=torch.long)
    value = torch.zeros((len(kept), width), dtype=torch.float32)
    new_found, new_value, cut = rank_proposed(
        best, products, norm, metric, width, candidates, first_centre=old
    )
    cut_row = cut.nonzero().flatten()
    new_found[cut_row], new_value[cut_row] = lists_of(
        cut_row + old, products, norm, metric, width, include_self=include_self
    )
    found[old:], value[old:] = new_found, new_value
    if before[0].size(1) == width:
        found[:old], value[:old] = before
    # Lists of old rows that a new row may enter: ranked again with what they held.
    changed = row.unique()
    gained = pair_similarity(x, kept[row], kept[col], metric=metric, norm=norm)
    held = before[0].size(1)
    rows = torch.cat([row, changed.repeat_interleave(held)])
    cols = torch.cat([col, before[0][changed].flatten()])
    values = torch.cat([gained, before[1][changed].flatten()])
    found[changed], value[changed] = take_best(rows, cols, values, width)
    return _edges(found, value, kept)


@torch.no_grad()
def delete(
    edge_index: Tensor,
    similarity: Tensor,
    x: Tensor,
    k: int,
    *,
    rows: Tensor,
    metric: str = "cosine",
    include_self: bool = False,
) -> tuple[Tensor, Tensor]:
    """The graph of the rows that remain, numbered anew in their order.

    Equal to ``knn_graph`` of the remaining rows bit for bit. Only the rows that had a
    deleted neighbour are searched again.

    Args:
        edge_index: Graph of ``x``, as :func:`mmgraph.knn.knn_graph` made it.
        similarity: Its similarities.
        x: Features of all rows, the deleted ones included.
        k: Neighbours per row, as the graph was built with.
        rows: Rows to delete.
        metric: The metric of the graph.
        include_self: As the graph was built with.

    Returns:
        ``edge_index`` and ``similarity`` of the remaining rows, on the CPU.

    Raises:
        ValueError: If the graph is not one of ``x``, a row is not finite, or a row to
            delete does not exist.

    Shapes:
        x: ``[N, D]``; edge_index: ``[2, E]``; similarity: ``[E]``; rows: ``[M]``.

    Example:
        >>> from mmgraph.knn import knn_graph
        >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]])
        >>> delete(*knn_graph(x, 1), x, 1, rows=torch.tensor([0]))[0]
        tensor([[1, 0],
                [0, 1]])
    """
    x, norm, kept = _checked(x, metric)
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(x):
        raise ValueError(f"rows to delete must be among the {len(x)} of the graph")
    before = _lists(edge_index, similarity, kept, len(x), k, include_self)
    stays = torch.ones(len(x), dtype=torch.bool)
    stays[rows.cpu()] = False
    remaining = stays[kept]
    row = kept[remaining]
    width = min(k, len(row) - (not include_self))
    if width <= 0:
        return torch.zeros((2, 0), dtype=torch.long), torch.zeros(0)
    place = remaining.cumsum(0) - 1
    lost = ~remaining[before[0][remaining]].all(1)
    found = place[before[0][remaining]][:, :width].clone()
    value = before[1][remaining][:, :width].clone()
    if lost.any():
        products = self_products(x, norm[row], metric, row)
        centre = lost.nonzero().flatten()
        found[centre], value[centre] = lists_of(
            centre, products, norm, metric, width, include_self=include_self
        )
    return _edges(found, value, (stays.cumsum(0) - 1)[row])


def _checked(x: Tensor, metric: str) -> tuple[Tensor, Tensor, Tensor]:
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {METRICS} (got {metric!r})")
    x = x.cpu()
    norm = row_norms(x) if len(x) else torch.zeros(0, dtype=torch.float64)
    if not norm.isfinite().all():
        bad = int((~norm.isfinite()).nonzero()[0])
        raise ValueError(f"features must be finite: row {bad} holds NaN or infinity")
    kept = norm.nonzero().flatten()
    if len(kept):
        check_range(norm, metric)
    return x, norm, kept


def _lists(
    edge_index: Tensor,
    similarity: Tensor,
    kept: Tensor,
    num_rows: int,
    k: int,
    include_self: bool,
) -> tuple[Tensor, Tensor]:
    """The lists of a graph, by positions among the rows that can have one."""
    edge_index, similarity = edge_index.cpu(), similarity.cpu()
    width = max(0, min(k, len(kept) - (not include_self)))
    if not torch.equal(edge_index[1], kept.repeat_interleave(width)):
        raise ValueError(
            f"the graph has not {width} neighbours for each of the {len(kept)} rows "
            "that can have some: was it built from these features, with this k?"
        )
    place = torch.full((num_rows,), -1)
    place[kept] = torch.arange(len(kept))
    shape = (len(kept), width)
    return place[edge_index[0]].view(shape), similarity.view(shape)


def _search_new(
    products: SelfProducts,
    old: int,
    best: BestSoFar,
    bound: Tensor,
    *,
    include_self: bool,
) -> tuple[Tensor, Tensor]:
    """Best scores of the new rows, and the pairs (old, new) at or above a bound."""
    total = len(products)
    rows, cols = [torch.zeros(0, dtype=torch.long)], [torch.zeros(0, dtype=torch.long)]
    for start in range(old, total, _HEIGHT):
        stop = min(start + _HEIGHT, total)
        new = products.rows(start, stop)
        for left in range(0, total, _WIDTH):
            right = min(left + _WIDTH, total)
            product = scores(new, products.rows(left, right))
            score = products.score(product, left, right)
            if not include_self:  # in columns of new rows, which old ones never read
                own = torch.arange(start, stop)
                own = own[(own >= left) & (own < right)]
                score[own - start, own - left] = -torch.inf
            best.add(score, start - old, left)
            width = min(right, old) - left
            if width > 0:
                other = products.score(product[:, :width].T, start, stop).T
                enters = other.numpy() >= bound[left : left + width].numpy()
                new_row, old_row = np.nonzero(enters)
                rows.append(torch.from_numpy(old_row) + left)
                cols.append(torch.from_numpy(new_row) + start)
    return torch.cat(rows), torch.cat(cols)


def _edges(found: Tensor, value: Tensor, node: Tensor) -> tuple[Tensor, Tensor]:
    centre = node.repeat_interleave(found.size(1))
    return torch.stack([node[found].flatten(), centre]), value.flatten()
