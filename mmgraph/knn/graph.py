"""The exact k-nearest-neighbour graph of a feature table."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmgraph.knn.metric.inner_product import inner_product_space
from mmgraph.knn.metric.self_products import self_products
from mmgraph.knn.metric.similarity import pair_similarity
from mmgraph.knn.rows.members import Members
from mmgraph.knn.rows.survey import check_options
from mmgraph.knn.rows.usable_rows import usable_rows
from mmgraph.knn.search.backends import build_search, resolve_backend
from mmgraph.knn.search.candidates import candidate_pairs
from mmgraph.knn.search.exact_lists import exact_lists
from mmgraph.knn.search.ranking import take_best
from mmgraph.knn.search.without_own import without_own


@torch.no_grad()
def knn_graph(
    x: Tensor | np.ndarray[Any, Any],
    k: int,
    *,
    metric: str = "cosine",
    backend: str = "auto",
    include_self: bool = False,
    block_size: int | None = None,
    nan: str = "refuse",
    duplicates: str = "keep",
) -> tuple[Tensor, Tensor]:
    """Build the exact kNN graph of the rows of ``x``.

    The result is a function of ``x``, ``k``, ``metric``, ``include_self``, ``nan`` and
    ``duplicates`` alone.
    Backends only propose candidates, enough of them that float32 rounding and ties
    at the k-th place cannot leave a neighbour out; the similarity of each pair is
    then summed in float64, rounded to float32, and orders the list.

    A zero row (a missing feature) gets no edges and is in no list, for every metric.

    Args:
        x: Features, real numbers: a tensor, an array or a frame; row numbers are
            positions, whatever its index. Torch works on their device.
        k: Neighbours per row.
        metric: ``cosine``; ``ip``, the inner product; or ``l2``, whose similarity
            is minus the squared Euclidean distance.
        backend: ``auto``, ``torch``, ``faiss`` or ``faiss-gpu``. ``auto`` takes
            faiss on a GPU where it is installed for that, else torch.
        include_self: Whether a row is a candidate of its own list.
        block_size: Centres searched at a time. On a CPU torch needs some tens of MiB
            beside the features and the result; otherwise the features are copied and
            memory grows with ``block_size * N``, by default by about 64 MiB (1 GiB on
            a GPU).
        nan: ``refuse`` a row with NaN or infinity, or ``isolate`` it as a zero row is.
        duplicates: ``keep`` equal rows, or ``collapse`` them: the first of each group
            stands for all, its copies get no edges and are in no list.

    Returns:
        ``edge_index`` int64 and ``similarity`` float32. Row 0 of ``edge_index`` is
        the neighbour, row 1 the centre; the order is centre ascending, similarity
        descending, neighbour ascending. ``k' = min(k, candidates)``.

    Shapes:
        x: ``[N, D]``; edge_index: ``[2, N * k']``; similarity: ``[N * k']``, N
        counting the rows that are not isolated.

    Raises:
        ValueError: An option is out of range, the backend is not installed, or a
            row holds NaN or an infinite value and ``nan`` refuses it.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.0, 0.0]])
        >>> edge_index, similarity = knn_graph(x, k=1)
        >>> edge_index
        tensor([[1, 0, 1],
                [0, 1, 2]])
        >>> similarity
        tensor([0.9950, 0.9950, 0.0995])
    """
    x, k = _checked(x, k, metric, block_size), int(k)
    backend = resolve_backend(backend, x.device)
    usable = usable_rows(x, nan=nan, duplicates=duplicates)
    kept, first, group = usable.row, usable.first, usable.group
    width = min(k, len(kept) - (not include_self))
    if width <= 0:
        return x.new_zeros((2, 0), dtype=torch.long), x.new_zeros(0).float()
    norm = usable.norm
    check_range(norm, metric)
    rows = kept if len(kept) < len(x) else None
    has_copies = len(first) < len(group)
    if has_copies:
        rows = kept[first]
    # Equal rows are in each other's lists: the row itself is taken out in the end.
    with_self = include_self or has_copies
    need = width + (with_self and not include_self)
    found, similarity = _lists(
        x,
        rows,
        norm,
        min(need, len(first) - (not with_self)),
        metric,
        backend,
        include_self=with_self,
        block_size=block_size,
    )
    if has_copies:
        found, similarity = _expand(found, similarity, group, need)
        found, similarity = found[group], similarity[group]
    if with_self and not include_self:
        own = torch.arange(len(found), device=found.device)
        found, similarity = without_own(own, found, similarity)
    if len(kept) < len(x):
        found = kept[found]
    edge_index = torch.stack([found.flatten(), kept.repeat_interleave(width)])
    return edge_index, similarity.flatten()


def _checked(
    x: Tensor | np.ndarray[Any, Any], k: int, metric: str, block_size: int | None
) -> Tensor:
    check_options(k, metric)
    if block_size is not None and block_size < 1:
        raise ValueError(f"block_size must be positive (got {block_size})")
    if hasattr(x, "__array__") and not isinstance(x, Tensor):  # a frame, too
        x = np.asarray(x)
        if x.dtype.kind not in "fiubc":
            raise ValueError(f"features must be real numbers (got {x.dtype})")
    with warnings.catch_warnings():  # a memory-mapped array is read-only: never written
        warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
        x = torch.as_tensor(x)
    if x.ndim != 2 or x.size(1) == 0:
        raise ValueError(f"features must be a table [N, D], D > 0 (got {[*x.shape]})")
    if x.is_complex():
        raise ValueError(f"features must be real numbers (got {x.dtype})")
    return x if x.is_floating_point() else x.double()


def check_range(norm: Tensor, metric: str) -> None:
    """Refuse lengths that float32 products cannot hold; cosine divides them out.

    Example:
        >>> check_range(torch.tensor([1e20]), "cosine")
    """
    longest = float(norm.max())
    if metric != "cosine" and not 1e-15 < longest < 1e15:
        raise ValueError(
            f"metric {metric!r} needs row norms between 1e-15 and 1e15: rescale the "
            f"features (got {longest:.3g})"
        )


def _lists(
    x: Tensor,
    rows: Tensor | None,
    norm: Tensor,
    need: int,
    metric: str,
    backend: str,
    *,
    include_self: bool,
    block_size: int | None,
) -> tuple[Tensor, Tensor]:
    """The ``need`` nearest of each chosen row among them, by their positions."""
    if backend == "torch" and x.device.type == "cpu":
        chosen = norm if rows is None else norm[rows]
        products = self_products(x, chosen, metric, rows)
        return exact_lists(
            products,
            norm,
            metric,
            need,
            include_self=include_self,
            block_size=block_size,
        )
    if rows is not None:
        x, norm = x[rows], norm[rows]
    need += not include_self
    found, similarity = _searched_lists(x, norm, need, metric, backend, block_size)
    if include_self:
        return found, similarity
    own = torch.arange(len(found), device=found.device)
    return without_own(own, found, similarity)


def _searched_lists(
    x: Tensor,
    norm: Tensor,
    need: int,
    metric: str,
    backend: str,
    block_size: int | None,
) -> tuple[Tensor, Tensor]:
    """Each row's ``need`` nearest rows, itself included, by an index over a copy."""
    space = inner_product_space(x, norm, metric)
    search = build_search(backend, space.base)
    if block_size is None:
        scores_at_once = 2**24 if x.device.type == "cpu" else 2**28
        block_size = max(64, scores_at_once // len(x))
    found, values = [], []
    for start in range(0, len(x), block_size):
        stop = min(start + block_size, len(x))
        row, col = candidate_pairs(space, search, start, stop, need)
        similarity = pair_similarity(x, row, col, metric=metric, norm=norm)
        best, value = take_best(row, col, similarity, need)
        found.append(best)
        values.append(value)
    return torch.cat(found), torch.cat(values)


def _expand(
    found: Tensor, similarity: Tensor, group: Tensor, need: int
) -> tuple[Tensor, Tensor]:
    """Lists of groups of equal rows to lists of rows."""
    # The first ``need`` members of a group are enough.
    repeat, col = Members.of(group).first(found.flatten(), need)
    rows = torch.arange(len(found), device=found.device)
    row = rows.repeat_interleave(found.size(1)).repeat_interleave(repeat)
    value = similarity.flatten().repeat_interleave(repeat)
    return take_best(row, col, value, need)
