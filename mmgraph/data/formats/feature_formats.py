"""The feature formats, one small reader each: values and ids as they are on disk."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError, safe_open

from mmgraph.data.formats.npy import read_npy, read_npz
from mmgraph.data.formats.parquet import parquet_errors
from mmgraph.data.ids import as_ids
from mmgraph.errors import UserError

ID_NAMES = ("id", "ids", "item", "items", "item_id", "item_ids", "itemid")
LIKE_AN_ID = re.compile(r"(?i:_id)$|[a-z]I[dD]$|^__index_level_\d+__$")
FEATURE_NAMES = ("features", "feature", "x", "embeddings", "embedding")

Raw = tuple[np.ndarray, np.ndarray | None, str]


def _npy(path: Path) -> Raw:
    values = read_npy(path)
    return values, None, values.dtype.name


def _npz(path: Path) -> Raw:
    arrays = read_npz(path)
    features, ids = _choose(arrays, path)
    values = arrays[features]
    return values, None if ids is None else _ids(arrays[ids], path), values.dtype.name


def _safetensors(path: Path) -> Raw:
    try:
        with safe_open(path, framework="pt") as file:
            features, ids = _choose(file.keys(), path)
            values = file.get_tensor(features)
            known = None if ids is None else _ids(file.get_tensor(ids), path)
    except SafetensorError as error:
        raise UserError(
            f"damaged safetensors file ({error})", "save it again", path=path
        ) from error
    dtype = str(values.dtype).removeprefix("torch.")
    return values.to(torch.float32).numpy(), known, dtype


def _parquet(path: Path) -> Raw:
    with parquet_errors(path):
        counts = Counter(pq.read_schema(path).names)
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            raise UserError(f"several columns {twice[0]!r}", "keep one", path=path)
        table = pq.read_table(path)
    names = [name for name in table.column_names if name.lower() in ID_NAMES]
    if len(names) > 1:
        raise UserError(f"several id columns: {names}", "keep one", path=path)
    ids = _column_of_ids(table.column(names[0]), path) if names else None
    rest = table.drop_columns(names)
    features = _feature_columns(rest, path)
    if _is_list(rest.schema.field(features[0]).type):
        values = _stack_lists(rest.column(features[0]), path)
        return values, ids, values.dtype.name
    columns = [rest.column(name).to_numpy() for name in features]
    return np.stack(columns, axis=1), ids, str(rest.schema.field(features[0]).type)


def _feature_columns(rest: pa.Table, path: Path) -> list[str]:
    """One list column or all number columns; any other column is refused.

    What it holds would be lost, or an id would become a dimension.
    """
    lists = [field.name for field in rest.schema if _is_list(field.type)]
    numbers = [field.name for field in rest.schema if _is_number(field.type)]
    features = lists or [name for name in numbers if not LIKE_AN_ID.search(name)]
    if len(lists) > 1 or not features:
        raise UserError(
            f"no features among the columns {rest.column_names}",
            "give one list column or number columns",
            path=path,
        )
    for field in rest.schema:
        if field.name not in features:
            raise UserError(
                f"column {field.name!r} ({field.type}) is neither the item ids nor "
                "features",
                "name it item_id if it is the ids, else leave it out",
                path=path,
            )
    return features


READERS: dict[str, Callable[[Path], Raw]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".parquet": _parquet,
}


def _choose(names: Iterable[str], path: Path) -> tuple[str, str | None]:
    """Names of the feature array and of the id array, if there is one."""
    names = list(names)
    ids = [name for name in names if name.lower() in ID_NAMES]
    rest = [name for name in names if name not in ids]
    known = [name for name in rest if name.lower() in (*FEATURE_NAMES, path.stem)]
    chosen = known if len(rest) > 1 else rest
    if len(chosen) != 1 or len(ids) > 1:
        raise UserError(
            f"cannot tell the features among the arrays {names}",
            "name them 'features' and, if there are ids, 'ids'",
            path=path,
        )
    return chosen[0], ids[0] if ids else None


def _ids(values: object, path: Path) -> np.ndarray:
    try:
        return as_ids(values)
    except UserError as error:
        raise UserError(f"item {error.what}", error.fix, path=path) from error
    except ValueError as error:
        raise UserError(str(error), "save one id per row", path=path) from error


def _column_of_ids(column: pa.ChunkedArray, path: Path) -> np.ndarray:
    empty = np.flatnonzero(column.is_null().to_numpy())
    if empty.size:
        raise UserError(
            f"row {empty[0]} (counted from 0) has no item id",
            "fill it in, or leave the row out",
            path=path,
        )
    return _ids(column.to_numpy(), path)


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_floating(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
    )


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
    )


def _stack_lists(column: pa.ChunkedArray, path: Path) -> np.ndarray:
    lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy()
    uneven = np.flatnonzero(lengths != lengths[0]) if len(lengths) else lengths
    if len(lengths) and lengths[0] < 0:
        uneven = np.array([0])
    if uneven.size:
        raise UserError(
            f"row {uneven[0]} (counted from 0) has no vector of {lengths[0]} values",
            "give every row one length, or leave the row out",
            path=path,
        )
    dim = int(lengths[0]) if len(lengths) else 0
    values: np.ndarray = pc.list_flatten(column).to_numpy()
    return values.reshape(len(lengths), dim)
