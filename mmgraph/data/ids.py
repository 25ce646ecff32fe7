"""Original ids: two kinds, one order, and positions in both directions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch_geometric.data import HeteroData

from mmgraph.errors import UserError


def as_ids(values: Any) -> np.ndarray:
    """Ids as an int64 or a string array, the two kinds that every file format keeps.

    Args:
        values: Array-like of integers or strings: list, NumPy, pandas or tensor.

    Returns:
        One-dimensional array of dtype int64 or ``<U``.

    Raises:
        UserError: If an id is missing, neither an integer nor a string, larger than
            int64, or holds the character NUL, at which NumPy would cut it off.

    Example:
        >>> as_ids(["b", "a"]).tolist(), as_ids([7, 3]).dtype.name
        (['b', 'a'], 'int64')
    """
    if isinstance(values, torch.Tensor):
        if values.is_floating_point() and values.numel():  # NumPy has no bfloat16
            raise _other_kind(str(values.dtype).removeprefix("torch."))
        values = values.detach().cpu().numpy()
    is_list = isinstance(values, list | tuple)
    # NumPy would cut a string off at NUL, and turn True into 1 and None into "None".
    array = np.array(values, dtype=object) if is_list else np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"ids must be one-dimensional (got shape {array.shape})")
    if array.size == 0:
        return array.astype(np.int64 if array.dtype.kind != "U" else array.dtype)
    if array.dtype.kind in "OT":
        array = _of_objects(array.astype(object))
    if array.dtype.kind == "U":
        return _without_nul(array)
    if array.dtype.kind in "iu":
        large = np.flatnonzero(array > np.iinfo(np.int64).max)
        if large.size:
            raise UserError(
                f"id {array[large[0]]} at position {large[0]} does not fit into int64 "
                f"(got {array.dtype})",
                "write such ids as strings",
            )
        return array.astype(np.int64)
    raise _other_kind(str(array.dtype))


def _other_kind(kind: str) -> UserError:
    return UserError(
        f"ids are neither 64-bit integers nor strings (got {kind})",
        "convert them to one of the two",
    )


def _of_objects(array: np.ndarray) -> np.ndarray:
    """Integers if all are, else strings; each object is looked at."""
    missing = np.flatnonzero(pd.isna(array))
    if missing.size:
        raise UserError(f"id at position {missing[0]} is missing", "fill it in")
    if pd.api.types.infer_dtype(array) == "integer":
        numbers = np.array([int(value) for value in array])
        return numbers if numbers.dtype.kind in "iu" else array.astype(str)
    for position, value in enumerate(array):
        if isinstance(value, bool) or not isinstance(value, str | int | np.integer):
            scalar = np.isscalar(value)
            kind = np.array(value).dtype if scalar else type(value).__name__
            raise _other_kind(f"{kind} at position {position}")
        if isinstance(value, str) and "\0" in value:
            raise _has_nul(position)
    return array.astype(str)


def _without_nul(array: np.ndarray) -> np.ndarray:
    """The same strings in native byte order; one with NUL inside is refused."""
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    points = array.view(np.uint32).reshape(len(array), -1)
    ended = (points[:, :-1] == 0) & (points[:, 1:] != 0)
    inside = np.flatnonzero(ended.any(axis=1))
    if inside.size:
        raise _has_nul(int(inside[0]))
    return array


def _has_nul(position: int) -> UserError:
    return UserError(
        f"id at position {position} holds the character NUL", "take it out"
    )


class RawIds(np.ndarray):
    """Ids as a NumPy array, strings too, that PyG's loaders can slice.

    PyG takes rows by an index tensor and makes a tensor of them, which holds no
    strings: it gets their code points, which :func:`original_ids` reads. For all other
    purposes this is the array that it was made from.

    Example:
        >>> ids = as_ids(["tea", "rum", "ale"]).view(RawIds)
        >>> ids[[2, 0]].tolist()
        ['ale', 'tea']
        >>> rows = torch.from_numpy(np.take(ids, torch.tensor([2, 0]), axis=0))
        >>> original_ids(rows).tolist()
        ['ale', 'tea']
    """

    def take(self, indices: Any, *args: Any, **kwargs: Any) -> Any:
        """Rows by number; code points ``[n, length]`` by the numbers of a tensor."""
        taken = np.asarray(self).take(indices, *args, **kwargs)
        if not isinstance(indices, torch.Tensor) or taken.dtype.kind != "U":
            return taken
        length = taken.dtype.itemsize // 4
        return taken.view(np.int32).reshape(len(taken), length)


def original_ids(raw_id: Any) -> np.ndarray:
    """The ids in a ``raw_id``, also in that of a sampled batch, as an array.

    Args:
        raw_id: Of a catalogue, or of what a PyG loader took from it.

    Example:
        >>> original_ids(torch.tensor([[97, 98], [99, 0]], dtype=torch.int32)).tolist()
        ['ab', 'c']
    """
    if not isinstance(raw_id, torch.Tensor):
        return np.asarray(raw_id)
    values = raw_id.cpu().numpy()
    if values.ndim == 1:
        return values
    return np.ascontiguousarray(values).view(f"U{values.shape[1]}").reshape(-1)


def union_ids(parts: Iterable[np.ndarray]) -> np.ndarray:
    """All ids of several arrays, each once, in the order that items have everywhere.

    The order is ascending: integers by value, strings by code point. Where one array
    holds integers and another strings, all become strings and meet by their spelling.

    Args:
        parts: One array or more, as made by :func:`as_ids`.

    Returns:
        Distinct ids, ascending; int64, or strings if any of the arrays holds strings.

    Example:
        >>> union_ids([np.array([10, 9]), np.array([9, 2])]).tolist()
        [2, 9, 10]
        >>> union_ids([np.array([10, 9]), np.array(["9", "x"])]).tolist()
        ['10', '9', 'x']
    """
    return distinct(np.concatenate(one_kind(parts)))


def distinct(values: np.ndarray) -> np.ndarray:
    """Each value once, ascending.

    ``np.unique`` of NumPy 2.3 and later goes through a hash table, which takes five
    times as long at a million values and more beyond.

    Args:
        values: One-dimensional array without NaN.

    Example:
        >>> distinct(np.array([3, 1, 3])).tolist()
        [1, 3]
    """
    ordered = np.sort(values)
    first = np.ones(len(ordered), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    once: np.ndarray = ordered[first]
    return once


class CodedIds(NamedTuple):
    """Ids of many rows: the distinct ones, ascending, and the position of each row's.

    What is looked up or compared then is each id once, not once per interaction.
    """

    names: np.ndarray
    code: np.ndarray

    @property
    def ids(self) -> np.ndarray:
        """The id of each row."""
        ids: np.ndarray = self.names[self.code]
        return ids


def code_ids(ids: np.ndarray) -> CodedIds:
    """Distinct ids and which of them each row has.

    Args:
        ids: As made by :func:`as_ids`.

    Returns:
        Names, ascending, and int64 codes, so that ``names[code]`` is ``ids``.

    Example:
        >>> names, code = code_ids(np.array(["tea", "ale", "tea"]))
        >>> names.tolist(), code.tolist()
        (['ale', 'tea'], [1, 0, 1])
    """
    try:  # half the time of a hash table of Python strings
        coded = pa.array(ids, pa.large_string()).dictionary_encode()
    except (UnicodeDecodeError, pa.ArrowTypeError):  # half a surrogate, integers
        return ascending(*pd.factorize(ids))
    names = coded.dictionary.to_numpy(zero_copy_only=False).astype(ids.dtype)
    return ascending(coded.indices.to_numpy(), names)


def ascending(code: np.ndarray, names: np.ndarray) -> CodedIds:
    """Coded ids whose distinct ones are in any order.

    Args:
        code: Position of each row's id.
        names: Distinct ids.

    Example:
        >>> ascending(np.array([0, 1, 0]), np.array(["tea", "ale"])).code.tolist()
        [1, 0, 1]
    """
    order = np.argsort(names)
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    return CodedIds(names[order], rank[code])


def one_kind(parts: Iterable[np.ndarray]) -> list[np.ndarray]:
    """The same arrays of ids, all as strings where one holds integers, one strings.

    Example:
        >>> [part.tolist() for part in one_kind([np.array([9]), np.array(["x"])])]
        [['9'], ['x']]
    """
    parts = list(parts)
    if len({part.dtype.kind for part in parts}) > 1:
        return [part.astype(str) for part in parts]
    return parts


def first_duplicate(keys: np.ndarray) -> tuple[int, int] | None:
    """Positions of the first repeated value and of its first occurrence.

    Args:
        keys: One-dimensional array.

    Returns:
        ``(first, again)`` for the smallest ``again``, or None if all are distinct.

    Example:
        >>> first_duplicate(np.array([4, 7, 9, 7, 4]))
        (1, 3)
    """
    if _are_distinct(keys):
        return None
    repeated = np.flatnonzero(pd.Series(keys).duplicated())
    if not repeated.size:  # NaN, for example
        return None
    again = int(repeated[0])
    return int(np.flatnonzero(keys == keys[again])[0]), again


def _are_distinct(keys: np.ndarray) -> bool:
    """The quick answer in the usual case."""
    if bool((keys[1:] > keys[:-1]).all()):  # as those of a catalogue are
        return True
    if keys.dtype.kind == "U":
        return bool(pc.count_distinct(pa.array(keys)).as_py() == len(keys))
    ascending = np.sort(keys)  # faster than a hash table of all keys
    return not bool((ascending[1:] == ascending[:-1]).any())


def check_distinct(
    ids: np.ndarray,
    path: str | Path | None = None,
    *,
    what: str = "item id",
    fix: str = "keep one row per item",
) -> None:
    """Refuse ids of which one stands twice.

    Args:
        ids: One per row, as made by :func:`as_ids`.
        path: The file they came from, if they came from one.
        what: Kind of the ids, for the message.
        fix: Remedy, for the message.

    Raises:
        UserError: If an id stands twice; the message names its first two rows.

    Example:
        >>> check_distinct(np.array([4, 7, 4]), "visual.npz")
        Traceback (most recent call last):
        mmgraph.errors.UserError: visual.npz: item id 4 stands at rows 0 and 2 \
(counted from 0) - keep one row per item
    """
    twice = first_duplicate(ids)
    if twice:
        first, again = twice
        raise UserError(
            f"{what} {ids[first].item()!r} stands at rows {first} and {again} "
            "(counted from 0)",
            fix,
            path=path,
        )


def match_ids(known: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Position of each id among the known ones, -1 where it is unknown.

    Integers and strings are compared by their spelling, so that ``12`` of one file
    meets ``"12"`` of another.

    Args:
        known: Distinct ids, as made by :func:`as_ids`.
        ids: Ids to look up, as made by :func:`as_ids`.

    Returns:
        int64 array, one position per id.

    Example:
        >>> match_ids(np.array(["a", "b"]), np.array(["b", "x"])).tolist()
        [1, -1]
    """
    known, ids = one_kind([known, ids])
    if np.array_equal(known, ids):
        return np.arange(len(known))
    if known.dtype.kind == "U":  # three times as fast as an index of pandas
        place = pc.index_in(pa.array(ids), value_set=pa.array(known))
        return np.asarray(place.fill_null(-1).to_numpy(), dtype=np.int64)
    return np.asarray(pd.Index(known).get_indexer(pd.Index(ids)), dtype=np.int64)


def ids_to_index(data: HeteroData, node_type: str, ids: Any) -> torch.Tensor:
    """Row of each original id; the other direction is ``data[node_type].raw_id``.

    Args:
        data: A catalogue with ``raw_id`` on its nodes.
        node_type: ``"user"`` or ``"item"``.
        ids: Original ids, integers or strings.

    Returns:
        int64 tensor ``[len(ids)]``.

    Raises:
        UserError: If an id is unknown; the message names the first one.

    Example:
        >>> from mmgraph.data import from_interactions
        >>> data = from_interactions(["ann", "bob"], ["tea", "rum"])
        >>> ids_to_index(data, "user", ["bob"])
        tensor([1])
    """
    ids = as_ids(ids)
    index = match_ids(original_ids(data[node_type].raw_id), ids)
    unknown = np.flatnonzero(index < 0)
    if unknown.size:
        raise UserError(
            f"unknown {node_type} id {ids[unknown[0]].item()!r}",
            "use an id of the catalogue",
        )
    return torch.from_numpy(index)


def pair_keys(user: np.ndarray, item: np.ndarray, num_items: int) -> np.ndarray:
    """User-item pairs as numbers, so that sets of edges compare in one call.

    Args:
        user: User positions.
        item: Item positions, below ``num_items``.
        num_items: Number of items.

    Returns:
        int64 array, ``user * num_items + item``: equal where the pairs are equal, and
        nowhere else.

    Example:
        >>> pair_keys(np.array([0, 2]), np.array([1, 0]), 3).tolist()
        [1, 6]
    """
    keys: np.ndarray = user.astype(np.int64) * num_items + item
    return keys
