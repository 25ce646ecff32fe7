r"""Measures of recommended lists beside their hits: what stands in them, how mixed.

A list holds item numbers, best first, -1 where no item was left. :math:`L_u` is the
list of a user, :math:`n_i` the training interactions of an item.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, diags_array
from torch import Tensor

#: Users whose lists are compared at a time: their sums of features stay small.
_USERS = 1024


def catalogue_coverage(items: Tensor, num_candidates: int) -> float:
    r"""Ratio of the candidates that stand in any list.

    Args:
        items: Lists ``[U, k]``.
        num_candidates: Number of items that could have.

    Example:
        >>> catalogue_coverage(torch.tensor([[3, 1], [3, -1]]), 4)
        0.5
    """
    shown = int(items[items >= 0].unique().numel())
    return shown / num_candidates


def gini_index(items: Tensor, num_candidates: int) -> float:
    r"""Inequality of how often the candidates stand in the lists: 0 all alike, 1 one.

    .. math::
        G = \frac{\sum_{j=1}^{I} (2j - I - 1)\, c_{(j)}}{I \sum_j c_{(j)}}

    with the counts in ascending order.

    Args:
        items: Lists ``[U, k]``.
        num_candidates: :math:`I`.

    Example:
        >>> gini_index(torch.tensor([[0, 1], [2, 3]]), 4)
        0.0
        >>> gini_index(torch.tensor([[2], [2]]), 4)
        0.75
    """
    shown = items[items >= 0].unique(return_counts=True)[1].double().sort().values
    never = num_candidates - len(shown)
    place = torch.arange(never + 1, num_candidates + 1, dtype=torch.float64)
    weight = 2 * place.to(shown.device) - num_candidates - 1
    return float((weight * shown).sum() / (num_candidates * shown.sum()))


def mean_in_lists(values: Tensor, items: Tensor) -> Tensor:
    """Mean of a value of the items in each list.

    Args:
        values: Of each item ``[I]``.
        items: Lists ``[U, k]``.

    Returns:
        float64 ``[U]``, NaN for an empty list.

    Example:
        >>> mean_in_lists(torch.tensor([1.0, 5.0]), torch.tensor([[0, 1], [1, -1]]))
        tensor([3., 5.], dtype=torch.float64)
    """
    there = items >= 0
    chosen = values.double()[items.clamp(min=0)] * there
    return chosen.sum(dim=1) / there.sum(dim=1)


def self_information(degree: Tensor, num_users: int) -> Tensor:
    r"""Novelty of each item: :math:`-\log_2 (\max(n_i, 1) / U)`, in bits.

    An item that nobody has counts as one that one user has. From "Rank and relevance in
    novelty and diversity metrics for recommender systems" (Vargas & Castells, RecSys
    2011).

    Args:
        degree: Training interactions of each item.
        num_users: :math:`U`.

    Example:
        >>> self_information(torch.tensor([4, 1, 0]), 8)
        tensor([1., 3., 3.], dtype=torch.float64)
    """
    return -(degree.double().clamp(min=1) / num_users).log2()


def diversity_in_lists(items: Tensor, rows: np.ndarray | csr_array) -> np.ndarray:
    r"""One minus the mean cosine of two items of a list.

    .. math::
        1 - \frac{\lVert \sum_{i \in L_u} \mathbf{x}_i \rVert^2 - |L_u|}
        {|L_u| (|L_u| - 1)}

    so that no pair is looked at. Items without a row (zeros) do not count.

    Args:
        items: Lists ``[U, k]``.
        rows: :math:`\mathbf{x}_i`, rows of length 1 or 0: features, or the users of
            each item (:func:`unit_user_rows`).

    Returns:
        float64 ``[U]``, NaN where fewer than two items count.

    Example:
        >>> rows = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
        >>> diversity_in_lists(torch.tensor([[0, 1], [0, 2], [0, 3]]), rows).tolist()
        [1.0, 0.0, nan]
    """
    known = _square_sums(rows) > 0.5
    found = []
    for block in items.cpu().split(_USERS):
        chosen = block.numpy()
        there = (chosen >= 0) & known[chosen.clip(0)]
        count = there.sum(axis=1)
        ends = np.concatenate([[0], np.cumsum(count)])
        entries = (np.ones(ends[-1], np.float32), chosen[there], ends)
        sums: Any = csr_array(entries, shape=(len(block), len(known))) @ rows
        total = _square_sums(sums)
        pairs = np.where(count > 1, count * (count - 1.0), np.nan)
        found.append(np.maximum(1 - (total - count) / pairs, 0))  # rounding
    return np.concatenate(found)


def unit_user_rows(edge_index: Tensor, num_users: int, num_items: int) -> csr_array:
    """The users of each item as a row of length 1.

    Args:
        edge_index: User and item of each interaction; repeated ones count once.
        num_users: Number of users.
        num_items: Number of items.

    Returns:
        float64 ``[I, U]``.

    Example:
        >>> unit_user_rows(torch.tensor([[0, 1], [0, 0]]), 2, 2).toarray().round(4)
        array([[0.7071, 0.7071],
               [0.    , 0.    ]])
    """
    user, item = edge_index.unique(dim=1).cpu().numpy()
    shape = (num_items, num_users)
    rows = csr_array((np.ones(len(item)), (item, user)), shape=shape)
    degree = np.maximum(np.bincount(item, minlength=num_items), 1)
    return csr_array(diags_array(degree**-0.5) @ rows)


def _square_sums(rows: np.ndarray | csr_array) -> np.ndarray:
    if isinstance(rows, np.ndarray):
        return np.asarray(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    return np.asarray(rows.multiply(rows).sum(axis=1)).ravel()
