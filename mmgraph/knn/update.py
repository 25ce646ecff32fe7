"""Insert rows into an exact graph, or delete rows, without building it again."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mmgraph.functional.block_sizes import TILE_HEIGHT, TILE_WIDTH, halves_blocks
from mmgraph.knn.metric.self_products import SelfProducts, self_products
from mmgraph.knn.options import check_options
from mmgraph.knn.rows.matrix_statistics import MatrixStatistics, matrix_statistics
from mmgraph.knn.rows.row_groups import RowGroups
from mmgraph.knn.search.backends import inner_products
from mmgraph.knn.search.drop_self import drop_self
from mmgraph.knn.search.exact_neighbours import num_proposals, rank_all, rank_proposals
from mmgraph.knn.search.running_top_k import RunningTopK


@torch.no_grad()
@halves_blocks
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
    rows: it gives the neighbours of the new rows, and the scores that are good enough
    for an old row. What does not change is copied.

    Args:
        edge_index: Graph of the old rows, as :func:`mmgraph.knn.knn_graph` made it.
        similarity: Its similarities.
        x: Features of all rows, the old ones first.
        k: Neighbours per row, as the graph was built with.
        num_new: Number of new rows, at the end of ``x``.
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
    x, statistics = _checked(x, k, metric)
    row, num_old = statistics.row, len(x) - num_new
    old = int((row < num_old).sum())
    before, before_similarity = _old_graph(
        edge_index, similarity, row[:old], k, include_self
    )
    k = min(k, len(row) - (not include_self))
    if k <= 0:
        return torch.zeros((2, 0), dtype=torch.long), torch.zeros(0)
    products = self_products(x, statistics, metric)
    bound = torch.full((old,), -torch.inf, dtype=torch.float32)
    if before.size(1) == k:
        last = products.score_of(before_similarity[:, -1], slice(0, old))
        bound = (last - products.tolerance).float()
    # Every new row is a candidate of its own while it is searched.
    count = k + (not include_self)
    best = RunningTopK(len(row) - old, num_proposals(len(row), count))
    centre, new = _search_new(products, old, best, bound)

    nearest = RunningTopK(old, k)
    nearest.neighbour[:, : before.size(1)] = before
    nearest.score[:, : before.size(1)] = before_similarity
    nearest.add_pairs(centre, row[new], products.similarity(centre, new))
    groups = RowGroups.of(torch.arange(len(row)), row)
    added = rank_proposals(best, products, groups, count, first_centre=old)
    neighbour, value = added.neighbour, added.score
    if not include_self:
        neighbour, value = drop_self(row[old:], neighbour, value)
    neighbour = torch.cat([nearest.neighbour, neighbour])
    return _edges(neighbour, torch.cat([nearest.score, value]), row)


@torch.no_grad()
@halves_blocks
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
    x, statistics = _checked(x, k, metric)
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(x):
        raise ValueError(f"rows to delete must be among the {len(x)} of the graph")
    row = statistics.row
    neighbour, value = _old_graph(edge_index, similarity, row, k, include_self)
    stays = torch.ones(len(x), dtype=torch.bool)
    stays[rows.cpu()] = False
    remains = stays[row]
    row, neighbour, value = row[remains], neighbour[remains], value[remains]
    k = min(k, len(row) - (not include_self))
    if k <= 0:
        return torch.zeros((2, 0), dtype=torch.long), torch.zeros(0)
    broken = (~stays[neighbour].all(1)).nonzero().flatten()
    neighbour, value = neighbour[:, :k].clone(), value[:, :k].clone()
    if len(broken):
        products = self_products(x, statistics, metric, row)
        groups = RowGroups.of(torch.arange(len(row)), row)
        again = rank_all(broken, products, groups, k + (not include_self))
        nearest = again.neighbour, again.score
        if not include_self:
            nearest = drop_self(row[broken], *nearest)
        neighbour[broken], value[broken] = nearest
    position = stays.cumsum(0) - 1
    return _edges(position[neighbour], value, position[row])


def _checked(x: Tensor, k: int, metric: str) -> tuple[Tensor, MatrixStatistics]:
    check_options(k=k, metric=metric)
    x = x.cpu()
    return x, matrix_statistics(x, metric)


def _old_graph(
    edge_index: Tensor, similarity: Tensor, row: Tensor, k: int, include_self: bool
) -> tuple[Tensor, Tensor]:
    """Neighbours and similarities of a graph, a line per row that can have some."""
    edge_index, similarity = edge_index.cpu(), similarity.cpu()
    k = max(0, min(k, len(row) - (not include_self)))
    if not torch.equal(edge_index[1], row.repeat_interleave(k)):
        raise ValueError(
            f"the graph has not {k} neighbours for each of the {len(row)} rows "
            "that can have some: was it built from these features, with this k?"
        )
    shape = (len(row), k)
    return edge_index[0].view(shape), similarity.view(shape)


def _search_new(
    products: SelfProducts, old: int, best: RunningTopK, bound: Tensor
) -> tuple[Tensor, Tensor]:
    """Best scores of the new rows, and the pairs (old, new) at or above a bound."""
    total, none = len(products), torch.zeros(0, dtype=torch.long)
    old_rows, new_rows = [none], [none]
    height, width = TILE_HEIGHT.on("cpu"), TILE_WIDTH.on("cpu")
    for start in range(old, total, height):
        stop = min(start + height, total)
        new = products.rows(start, stop)
        for left in range(0, total, width):
            right = min(left + width, total)
            product = inner_products(new, products.rows(left, right))
            best.add_tile(products.score(product, left, right), left, start - old)
            num_old = min(right, old) - left
            if num_old > 0:
                score = products.score(product[:, :num_old].T, start, stop).T
                enters = score.numpy() >= bound[left : left + num_old].numpy()
                new_row, old_row = np.nonzero(enters)
                old_rows.append(torch.from_numpy(old_row) + left)
                new_rows.append(torch.from_numpy(new_row) + start)
    return torch.cat(old_rows), torch.cat(new_rows)


def _edges(neighbour: Tensor, similarity: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
    centre = row.repeat_interleave(neighbour.size(1))
    return torch.stack([neighbour.flatten(), centre]), similarity.flatten()
