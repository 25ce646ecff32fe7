"""The feature formats, one small reader each: values and ids as they are on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError, safe_open

from mmgraph.data.ids import as_ids
from mmgraph.data.npy import read_npy, read_npz
from mmgraph.errors import UserError

ID_NAMES = ("id", "ids", "item", "items", "item_id", "item_ids", "itemid")
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
    try:
        table = pq.read_table(path)
    except pa.ArrowException as error:
        raise UserError(
            f"damaged parquet file ({str(error).splitlines()[0]})",
            "write it again",
            path=path,
        ) from error
    names = [name for name in table.column_names if name.lower() in ID_NAMES]
    if len(names) > 1:
        raise UserError(f"several id columns: {names}", "keep one", path=path)
    ids = _ids(table.column(names[0]).to_numpy(), path) if names else None
    rest = table.drop_columns(names)
    lists = [f.name for f in rest.schema if _is_list(f.type)]
    if len(lists) == 1:
        values = _stack_lists(rest.column(lists[0]), path)
        return values, ids, values.dtype.name
    numbers = [f.name for f in rest.schema if pa.types.is_primitive(f.type)]
    if lists or not numbers:
        raise UserError(
            f"no features among the columns {table.column_names}",
            "give one list column or number columns",
            path=path,
        )
    columns = [rest.column(name).to_numpy() for name in numbers]
    return np.stack(columns, axis=1), ids, str(rest.schema.field(numbers[0]).type)


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
    width = int(lengths[0]) if len(lengths) else 0
    return pc.list_flatten(column).to_numpy().reshape(len(lengths), width)
