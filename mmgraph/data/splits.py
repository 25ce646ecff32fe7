"""Splits: one catalogue in, train / valid / test objects on shared storage out.

Random splits number the pairs in a canonical order before they draw, so the result
depends on the seed and the set of pairs, not on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from torch_geometric.data import HeteroData

from mmgraph.data.ids import distinct, pair_keys
from mmgraph.data.label_split import TEST, TRAIN, VALID, Split, split_by_label
from mmgraph.data.validation import check_split
from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS, ITEM

#: The split that holds nothing out.
NONE = "none"


def split_per_user(data: HeteroData, *, seed: int = 0) -> Split:
    """Random split within each user, by the rule of the field's published files.

    Of ``n`` shuffled pairs of a user: with ``n < 10`` the last two are valid and test;
    else ``h = floor(0.2 n)`` are held out, ``floor(h / 2)`` of them valid. Users with
    fewer than three pairs stay in train.

    Args:
        data: Catalogue of all interactions.
        seed: Seed of the draw.

    Returns:
        ``(train, val, test)``, see :func:`split_by_label`.

    Example:
        >>> from mmgraph.data import from_interactions
        >>> data = from_interactions([0] * 15, range(15))
        >>> [part["user", "interacts", "item"].edge_label_index.size(1)
        ...  for part in split_per_user(data)]
        [12, 1, 2]
    """
    user = _arrays(data)[0]
    rank, count = _rank_within(user, _random_keys(data, seed))
    held = np.where(count < 10, 2, count // 5)
    held[count < 3] = 0
    valid = np.where(count < 10, 1, held // 2)
    label = np.full(len(user), TRAIN)
    label[rank >= count - held] = VALID
    label[rank >= count - held + np.minimum(valid, held)] = TEST
    return split_by_label(data, label)


def split_temporal(data: HeteroData, *, valid: float = 0.1, test: float = 0.1) -> Split:
    """Split at two global points in time: the past trains, the future tests.

    Pairs of one instant stay together, so no split sees its own future.

    Args:
        data: Catalogue with ``time`` on its interactions.
        valid: Ratio of the pairs, counted before the test part.
        test: Ratio of the latest pairs.

    Returns:
        ``(train, val, test)``, see :func:`split_by_label`.

    Raises:
        UserError: If there are no timestamps.

    Example:
        >>> from mmgraph.data import from_interactions
        >>> data = from_interactions([0] * 10, range(10), timestamps=range(10))
        >>> _, _, test = split_temporal(data)
        >>> test["user", "interacts", "item"].edge_label_time
        tensor([9])
    """
    if not (valid > 0 and test > 0 and valid + test < 1):
        raise ValueError(f"ratios must be positive, sum < 1 (got {valid}, {test})")
    if "time" not in data[INTERACTS]:
        raise UserError(
            "the interactions carry no timestamps",
            "add a column 'timestamp' or choose another split",
        )
    time = data[INTERACTS].time.cpu().numpy()
    ordered, size = np.sort(time), len(time)
    first_test = ordered[size - max(1, round(size * test))]
    first_valid = ordered[max(0, size - max(2, round(size * (valid + test))))]
    label = np.where(time >= first_test, TEST, VALID)
    label[time < first_valid] = TRAIN
    return split_by_label(data, label)


def leave_one_out(data: HeteroData, *, seed: int = 0) -> Split:
    """Hold out the last pair of each user for test and the one before for valid.

    "Last" is by time where times are known, ties drawn by the seed, else random. Users
    with fewer than three pairs stay in train.

    Args:
        data: Catalogue of all interactions.
        seed: Seed of the draw.

    Returns:
        ``(train, val, test)``, see :func:`split_by_label`.

    Example:
        >>> from mmgraph.data import from_interactions
        >>> data = from_interactions([0] * 3, ["a", "b", "c"], timestamps=[3, 1, 2])
        >>> _, _, test = leave_one_out(data)
        >>> test["user", "interacts", "item"].edge_label_index[1]
        tensor([0])
    """
    user = _arrays(data)[0]
    keys = [_random_keys(data, seed)]
    if "time" in data[INTERACTS]:
        keys.append(data[INTERACTS].time.cpu().numpy())
    rank, count = _rank_within(user, *keys)
    label = np.full(len(user), TRAIN)
    label[(count >= 3) & (rank == count - 2)] = VALID
    label[(count >= 3) & (rank == count - 1)] = TEST
    return split_by_label(data, label)


def split_cold_items(
    data: HeteroData, *, valid: float = 0.1, test: float = 0.1, seed: int = 0
) -> Split:
    """Hold out whole items: those of valid and of test have no training pair at all.

    Args:
        data: Catalogue of all interactions.
        valid: Ratio of the interacted items that occur in valid only.
        test: Ratio of the interacted items that occur in test only.
        seed: Seed of the draw.

    Returns:
        ``(train, val, test)``, see :func:`split_by_label`.

    Example:
        >>> from mmgraph.data import from_interactions
        >>> data = from_interactions([0] * 10, range(10))
        >>> train, _, test = split_cold_items(data)
        >>> train["user", "interacts", "item"].edge_index.size(1)
        8
    """
    if not (valid > 0 and test > 0 and valid + test < 1):
        raise ValueError(f"ratios must be positive, sum < 1 (got {valid}, {test})")
    item = _arrays(data)[1]
    items = distinct(item)
    order = np.random.default_rng(seed).permutation(items)
    num_test, num_valid = (max(1, round(len(items) * s)) for s in (test, valid))
    label = np.full(len(item), TRAIN)
    label[np.isin(item, order[:num_test])] = TEST
    label[np.isin(item, order[num_test : num_test + num_valid])] = VALID
    return split_by_label(data, label)


def split_none(data: HeteroData) -> Split:
    """Hold out nothing: every pair trains, for a system whose options are chosen.

    Args:
        data: Catalogue of all interactions.

    Returns:
        ``(train, val, test)``, see :func:`split_by_label`; the last two have no pairs.

    Example:
        >>> from mmgraph.data import from_interactions
        >>> train, val, _ = split_none(from_interactions([0] * 10, range(10)))
        >>> [part["user", "interacts", "item"].edge_label_index.size(1)
        ...  for part in (train, val)]
        [10, 0]
    """
    label = np.full(data[INTERACTS].edge_index.size(1), TRAIN)
    return split_by_label(data, label, held_out=False)


# Every split by its name: (catalogue, seed) -> the three objects.
SPLITS: dict[str, Callable[[HeteroData, int], Split]] = {
    "label": lambda data, seed: split_by_label(data),
    "per_user": lambda data, seed: split_per_user(data, seed=seed),
    "temporal": lambda data, seed: split_temporal(data),
    "leave_one_out": lambda data, seed: leave_one_out(data, seed=seed),
    "cold_items": lambda data, seed: split_cold_items(data, seed=seed),
    NONE: lambda data, seed: split_none(data),
}
# Those that go by time: for others a column of times need not be readable.
BY_TIME = frozenset({"temporal", "leave_one_out"})


def split_dataset(
    data: HeteroData, split: str, *, seed: int = 0, path: str | Path | None = None
) -> Split:
    """Split by a name and check the result.

    Args:
        data: Catalogue of all interactions.
        split: ``"label"``, ``"per_user"``, ``"temporal"``, ``"leave_one_out"``,
            ``"cold_items"`` or ``"none"``.
        seed: Seed of the random splits.
        path: The file of the interactions, for messages.

    Returns:
        ``(train, val, test)``, checked by :func:`~mmgraph.data.check_split`.

    Raises:
        UserError: If the name is unknown or the split impossible.

    Example:
        >>> from mmgraph.data import from_interactions
        >>> data = from_interactions([0] * 10, range(10))
        >>> train, val, test = split_dataset(data, "per_user", seed=1)
    """
    if split not in SPLITS:
        raise UserError(f"unknown split {split!r}", f"choose among {', '.join(SPLITS)}")
    try:
        splits = SPLITS[split](data, seed)
        check_split(*splits, held_out=split != NONE)
    except UserError as error:
        raise UserError(error.what, error.fix, path=path) from error
    return splits


def _arrays(data: HeteroData) -> tuple[np.ndarray, np.ndarray]:
    user, item = data[INTERACTS].edge_index.cpu().numpy()
    return user, item


def _random_keys(data: HeteroData, seed: int) -> np.ndarray:
    """One random number per pair, tied to the pair and not to its row."""
    user, item = _arrays(data)
    pairs = pair_keys(user, item, int(data[ITEM].num_nodes))
    order = np.argsort(pairs, kind="stable")  # a third of the time of a lexsort
    keys = np.empty(len(user))
    keys[order] = np.random.default_rng(seed).random(len(user))
    return keys


def _rank_within(user: np.ndarray, *keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rank of each pair within its user (last key first) and the user's pair count."""
    by_key = np.argsort(keys[0], kind="stable") if len(keys) == 1 else np.lexsort(keys)
    count = np.bincount(user)
    start = np.cumsum(count) - count
    order = _stably_grouped(by_key, user[by_key], count)
    rank = np.empty(len(user), np.int64)
    rank[order] = np.arange(len(user)) - np.repeat(start, count)
    return rank, count[user]


def _stably_grouped(
    values: np.ndarray, group: np.ndarray, count: np.ndarray
) -> np.ndarray:
    """The values by group, in each in their order: a sort in linear time."""
    # SciPy counts the entries of each row and puts them into their places.
    size = (len(count), len(values))
    places = (group, np.arange(len(values)))
    rows = csr_array((np.ones(len(values), np.bool_), places), shape=size)
    grouped: np.ndarray = values[rows.indices]
    return grouped
