"""Neighbours recomputed by brute force and compared."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.knn.metric.similarity import pair_similarity
from mmgraph.knn.rows.matrix_statistics import MatrixStatistics, matrix_statistics
from mmgraph.knn.undirected import symmetrise


@torch.no_grad()
def wrong_rows(
    edge_index: Tensor,
    similarity: Tensor,
    x: Tensor,
    k: int,
    *,
    metric: str = "cosine",
    rows: Tensor | None = None,
    nan: str = "refuse",
    duplicates: str = "keep",
    symmetrised: str = "none",
) -> Tensor:
    """Rows whose neighbours are not those of a float64 brute force.

    The reference scores a row against every other row, pair by pair in float64, and
    sorts; no search, no matrix product and no tolerance is involved. It costs
    ``rows * N * D``.

    Args:
        edge_index: The graph to verify.
        similarity: Its similarities.
        x: The features it is said to be of.
        k: Neighbours per row.
        metric: ``cosine``, ``ip`` or ``l2``.
        rows: Rows to recompute; all by default, and always for an undirected graph,
            whose edges depend on all rows.
        nan: ``refuse`` or ``isolate``, as the graph was built with.
        duplicates: ``keep`` or ``collapse``, as the graph was built with.
        symmetrised: ``none``, ``union`` or ``mutual``, as the graph was built with.

    Returns:
        The wrong rows, int64, ascending. An edge list out of order makes the row wrong
        that breaks the order.

    Shapes:
        edge_index: ``[2, E]``; similarity: ``[E]``; x: ``[N, D]``.

    Example:
        >>> from mmgraph.knn import knn_graph
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
        >>> edge_index, similarity = knn_graph(x, 1)
        >>> wrong_rows(edge_index, similarity, x, 1)
        tensor([], dtype=torch.int64)
        >>> edge_index[0, 2] = 0
        >>> wrong_rows(edge_index, similarity, x, 1)
        tensor([2])
    """
    statistics = matrix_statistics(x, "cosine", nan=nan, duplicates=duplicates)
    everything = torch.arange(len(x))
    if rows is None or symmetrised != "none":
        rows = everything
    want_index, want_similarity = _brute_force(x, rows, k, metric, statistics)
    want_index, want_similarity = symmetrise(
        want_index, want_similarity, len(x), symmetrised
    )
    centre = edge_index[1]
    if len(centre) and not 0 <= int(edge_index.min()) <= int(edge_index.max()) < len(x):
        outside = ((edge_index < 0) | (edge_index >= len(x))).any(0)
        broken: Tensor = centre[outside].clamp(0, len(x) - 1).unique()
        return broken
    disorder: Tensor = centre[1:][centre.diff() < 0].unique()
    if len(disorder):
        return disorder
    chosen = torch.isin(centre, rows)
    got_index, got_similarity = edge_index[:, chosen], similarity[chosen]
    length = got_index[1].bincount(minlength=len(x))
    want_length = want_index[1].bincount(minlength=len(x))
    wrong = length != want_length
    # As many neighbours stand in the same order in both: compare edge by edge.
    keep_got, keep_want = ~wrong[got_index[1]], ~wrong[want_index[1]]
    differs = got_index[0, keep_got] != want_index[0, keep_want]
    differs |= got_similarity[keep_got] != want_similarity[keep_want]
    wrong[got_index[1, keep_got][differs]] = True
    return wrong.nonzero().flatten()


def _brute_force(
    x: Tensor, rows: Tensor, k: int, metric: str, statistics: MatrixStatistics
) -> tuple[Tensor, Tensor]:
    edges = [torch.zeros((2, 0), dtype=torch.long)]
    values = [torch.zeros(0, dtype=torch.float32)]
    usable, norm = statistics.row, statistics.norm
    for row in rows[torch.isin(rows, usable)].sort().values:
        other = usable[usable != row]
        centre = row.expand_as(other)
        value = pair_similarity(x, centre, other, metric=metric, norm=norm)
        best = value.argsort(descending=True, stable=True)[:k]
        edges.append(torch.stack([other[best], centre[: len(best)]]))
        values.append(value[best])
    return torch.cat(edges, 1), torch.cat(values)
