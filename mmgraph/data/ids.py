"""Original ids and positions: one order, two directions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch_geometric.data import HeteroData

from mmgraph.data.pairs import first_duplicate
from mmgraph.errors import UserError


def as_ids(values: Any) -> np.ndarray:
    """Ids as an int64 or a string array, the two kinds that survive every file format.

    Args:
        values: Array-like of integers or strings: list, NumPy, pandas or tensor.

    Returns:
        One-dimensional array of dtype int64 or ``<U``.

    Raises:
        UserError: If an id is missing, or neither an integer nor a string.

    Example:
        >>> as_ids(["b", "a"]).tolist(), as_ids([7, 3]).dtype.name
        (['b', 'a'], 'int64')
    """
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"ids must be one-dimensional (got shape {array.shape})")
    if array.size == 0:
        return array.astype(np.int64 if array.dtype.kind != "U" else array.dtype)
    if array.dtype.kind == "O":
        missing = np.flatnonzero(pd.isna(array))
        if missing.size:
            raise UserError(f"id at position {missing[0]} is missing", "fill it in")
        if all(isinstance(value, int | np.integer) for value in array):
            array = np.array([int(value) for value in array])
    if array.dtype.kind in "OU" or array.dtype.kind == "T":
        return array.astype(str)
    if array.dtype.kind == "i" or (
        array.dtype.kind == "u" and array.max() <= np.iinfo(np.int64).max
    ):
        return array.astype(np.int64)
    raise UserError(
        f"ids are neither 64-bit integers nor strings (got {array.dtype})",
        "convert them to one of the two",
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


def check_distinct(ids: np.ndarray, path: str | Path) -> None:
    """Refuse a feature file in which an item has two rows.

    Args:
        ids: One per row, as made by :func:`as_ids`.
        path: The file, for the message.

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
            f"item id {ids[first].item()!r} stands at rows {first} and {again} "
            "(counted from 0)",
            "keep one row per item",
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
    if known.dtype.kind != ids.dtype.kind:
        known, ids = known.astype(str), ids.astype(str)
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
    wanted = as_ids(ids)
    index = match_ids(original_ids(data[node_type].raw_id), wanted)
    unknown = np.flatnonzero(index < 0)
    if unknown.size:
        raise UserError(
            f"unknown {node_type} id {wanted[unknown[0]].item()!r}",
            "use an id of the catalogue",
        )
    return torch.from_numpy(index)
