"""Numbers of items that two users have in common."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from mmgraph.functional.block_sizes import SPARSE_PRODUCTS


def co_occurrence(
    edge_index: Tensor, num_users: int, num_items: int, *, top: int | None = None
) -> tuple[Tensor, Tensor]:
    r"""Count the common items of every pair of users that has any.

    The counts are :math:`R R^\top` without its diagonal, an interaction counting
    once; each user keeps the ``top`` largest, as in "DualGNN: Dual Graph Neural
    Network for Multimedia Recommendation" (Wang et al., IEEE TMM 2021). The sparse
    product is made for a block of users at a time.

    Args:
        edge_index: User (row 0) and item (row 1) of each interaction.
        num_users: Number of users.
        num_items: Number of items.
        top: Neighbours to keep per user; ties go to the smaller id. All by default.

    Returns:
        ``edge_index`` with the neighbour in row 0 and the centre in row 1, ordered
        by centre ascending, count descending, neighbour ascending; and the counts.

    Shapes:
        edge_index: ``[2, E]`` int64; returns ``[2, E']`` and ``[E']``, both int64.

    Raises:
        ValueError: ``top`` is not positive.

    Example:
        >>> edge_index = torch.tensor([[0, 0, 1, 1, 2], [0, 1, 0, 1, 1]])
        >>> neighbours, count = co_occurrence(edge_index, 3, 2, top=1)
        >>> neighbours.tolist(), count.tolist()
        ([[1, 0, 0], [0, 1, 2]], [2, 2, 1])
    """
    if top is not None and top < 1:
        raise ValueError(f"'top' must be at least 1 (got {top})")
    centres, neighbours, counts = [], [], []
    for centre, neighbour, count in co_occurrence_blocks(
        edge_index, num_users, num_items
    ):
        kept = strongest(centre, neighbour, count, top)
        centres.append(centre[kept])
        neighbours.append(neighbour[kept])
        counts.append(count[kept])
    if not centres:
        return edge_index.new_zeros((2, 0)), edge_index.new_zeros(0)
    edges = np.stack([np.concatenate(neighbours), np.concatenate(centres)])
    number = torch.from_numpy(np.concatenate(counts))
    return torch.from_numpy(edges).to(edge_index.device), number.to(edge_index.device)


def co_occurrence_blocks(
    edge_index: Tensor, num_users: int, num_items: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The pairs of users with common items, a block of centres at a time.

    Args:
        edge_index: User (row 0) and item (row 1) of each interaction.
        num_users: Number of users.
        num_items: Number of items.

    Yields:
        Centre, neighbour and number of common items of each pair, int64. The centres
        of a block come after those of the block before it.

    Example:
        >>> edge_index = torch.tensor([[0, 1], [0, 0]])
        >>> [(centre.tolist(), neighbour.tolist(), count.tolist())
        ...  for centre, neighbour, count in co_occurrence_blocks(edge_index, 2, 1)]
        [([0, 1], [1, 0], [1, 1])]
    """
    user, item = edge_index.cpu().numpy()
    ones = np.ones(len(user), dtype=np.int64)
    matrix = sparse.csr_array((ones, (user, item)), shape=(num_users, num_items))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    transpose = matrix.T.tocsr()
    products = (matrix @ transpose.sum(axis=1)).cumsum()
    start = 0
    while start < num_users:
        budget = SPARSE_PRODUCTS + (int(products[start - 1]) if start else 0)
        stop = max(start + 1, int(products.searchsorted(budget, side="right")))
        block = (matrix[start:stop] @ transpose).tocoo()
        centre, neighbour = (index.astype(np.int64) for index in block.coords)
        centre += start
        other = centre != neighbour
        yield centre[other], neighbour[other], block.data[other]
        start = stop


def strongest(
    centre: np.ndarray, neighbour: np.ndarray, value: np.ndarray, top: int | None
) -> np.ndarray:
    """Positions of the ``top`` largest values of each centre, all of them by default.

    Args:
        centre: Centre of each pair.
        neighbour: Neighbour of each pair.
        value: Value of each pair.
        top: Pairs to keep per centre.

    Returns:
        Ordered by centre ascending, value descending, neighbour ascending.

    Example:
        >>> centre, neighbour = np.array([0, 0, 0]), np.array([3, 2, 1])
        >>> strongest(centre, neighbour, np.array([1, 5, 5]), 2).tolist()
        [2, 1]
    """
    order: np.ndarray = np.lexsort((neighbour, -value, centre))
    return order if top is None else order[_position_in_run(centre[order]) < top]


def _position_in_run(
    values: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Position of each element among its equals, where ``values`` is sorted."""
    return np.arange(len(values)) - np.searchsorted(values, values)
