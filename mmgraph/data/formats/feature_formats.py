"""The feature formats, one small reader each: values and ids as they are on disk."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from safetensors import SafetensorError, safe_open

from mmgraph.data.formats.columns import parse_ids
from mmgraph.data.formats.npy import npz_length, npz_names, read_npy, read_npz
from mmgraph.data.formats.parquet import (
    is_number,
    is_number_list,
    num_rows,
    read_columns,
    read_schema,
)
from mmgraph.data.formats.tables.table_format import ID_NAMES
from mmgraph.data.formats.tables.text_numbers import read_text_numbers
from mmgraph.data.ids import as_ids
from mmgraph.errors import UserError

LIKE_AN_ID = re.compile(
    r"(?i:_id)$|[a-z]I[dD]$|^__index_level_\d+__$|^(?i:user|userid|uid)$"
)
FEATURE_NAMES = ("features", "feature", "x", "embeddings", "embedding")

Raw = tuple[np.ndarray, np.ndarray | None, str]
Rows = tuple[int, np.ndarray | None]


def _npy(path: Path, id_column: str | None = None) -> Raw:
    values = read_npy(path)
    return values, None, values.dtype.name


def _npz(path: Path, id_column: str | None = None) -> Raw:
    features, ids = _choose(npz_names(path), path, id_column)
    arrays = read_npz(path, [features, *([] if ids is None else [ids])])
    values = arrays[features]
    return values, None if ids is None else _ids(arrays[ids], path), values.dtype.name


def _safetensors(path: Path, id_column: str | None = None) -> Raw:
    with open_safetensors(path) as file:
        features, ids = _choose(file.keys(), path, id_column)
        values = file.get_tensor(features)
        known = None if ids is None else _ids(file.get_tensor(ids), path)
    dtype = str(values.dtype).removeprefix("torch.")
    if values.is_complex():
        raise UserError(
            f"features are {dtype}, not numbers", "save them as float32", path=path
        )
    return values.to(torch.float32).numpy(), known, dtype


@contextmanager
def open_safetensors(path: Path) -> Iterator[Any]:
    """A safetensors file, from which tensors of torch are read in the block.

    Raises:
        UserError: If it is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise UserError(
            f"damaged safetensors file ({error})", "save it again", path=path
        ) from error


def _parquet(path: Path, id_column: str | None = None) -> Raw:
    schema = read_schema(path)
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise UserError(f"several columns {twice[0]!r}", "keep one", path=path)
    names, features = _roles(schema, id_column, path)
    columns = read_columns(path, [*names, *features])
    ids = _column_of_ids(columns[names[0]], path) if names else None
    kind = schema.field(features[0]).type
    if is_number_list(kind):
        values = _stack_lists(columns[features[0]], path)
        return values, ids, values.dtype.name
    values = np.stack([columns[name].to_numpy() for name in features], axis=1)
    return values, ids, str(kind)


def _text(path: Path, id_column: str | None = None) -> Raw:
    columns = read_text_numbers(path)
    for name, fault in columns.faults.items():
        if name not in _id_names(columns.schema.names, id_column, path):
            raise fault
    names, features = _roles(columns.schema, id_column, path)
    ids = None
    if names:
        ids = parse_ids(columns.texts[names[0]], "item", path, 2).ids
    values = np.stack([columns.numbers[name] for name in features], axis=1)
    return values, ids, values.dtype.name


def _roles(
    schema: pa.Schema, id_column: str | None, path: Path
) -> tuple[list[str], list[str]]:
    """The column of the ids, if there is one, and those of the features."""
    names = _id_names(schema.names, id_column, path)
    if len(names) > 1:
        raise UserError(f"several id columns: {names}", "keep one", path=path)
    rest = [field for field in schema if field.name not in names]
    if id_column is not None:  # whoever names the ids knows what the others are
        rest = features_beside(schema, id_column)
    return names, _feature_columns(rest, path)


def _id_names(names: Iterable[str], id_column: str | None, path: Path) -> list[str]:
    names = list(names)
    if id_column is not None and id_column not in names:
        what = f"no ids {id_column!r} among {', '.join(map(repr, names))}"
        raise UserError(what, "name one of these", path=path)
    if id_column is not None:
        return [id_column]
    return [name for name in names if name.lower() in ID_NAMES]


def features_beside(schema: pa.Schema, id_column: str) -> list[pa.Field]:
    """Columns of features beside ids that were named; others are not read.

    Args:
        schema: Of a Parquet file.
        id_column: The ids.

    Returns:
        Columns of lists; without any, columns of numbers that are not called as ids.

    Example:
        >>> columns = {"asin": pa.string(), "title": pa.string(), "f0": pa.float32()}
        >>> [field.name for field in features_beside(pa.schema(columns), "asin")]
        ['f0']
    """
    rest = [field for field in schema if field.name != id_column]
    lists = [field for field in rest if is_number_list(field.type)]
    return lists or [
        field
        for field in rest
        if is_number(field.type)
        and not LIKE_AN_ID.search(field.name)
        and field.name.lower() not in ID_NAMES
    ]


def _feature_columns(rest: list[pa.Field], path: Path) -> list[str]:
    """One list column or all number columns; any other column is refused.

    What it holds would be lost, or an id would become a dimension.
    """
    lists = [field.name for field in rest if is_number_list(field.type)]
    numbers = [field.name for field in rest if is_number(field.type)]
    features = lists or [name for name in numbers if not LIKE_AN_ID.search(name)]
    if len(lists) > 1 or not features:
        raise UserError(
            f"no features among the columns {[field.name for field in rest]}",
            "give one list column or number columns",
            path=path,
        )
    for field in rest:
        if field.name not in features:
            raise UserError(
                f"column {field.name!r} ({field.type}) is neither the item ids nor "
                "features",
                "name it item_id if it is the ids, or by --id-col in data import and "
                "knn build; else leave it out",
                path=path,
            )
    return features


#: Features and their ids; the second argument names the ids that have another name.
READERS: dict[str, Callable[..., Raw]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".parquet": _parquet,
    ".csv": _text,
    ".tsv": _text,
}
#: Those that are features wherever they lie; a text must be named as such.
IN_FOLDERS = (".npy", ".npz", ".safetensors", ".parquet")


def _npy_rows(path: Path) -> Rows:
    return len(read_npy(path)), None


def _npz_rows(path: Path) -> Rows:
    features, name = _choose(npz_names(path), path)
    if name is None:
        return npz_length(path, features), None
    ids = _ids(read_npz(path, [name])[name], path)
    return len(ids), ids


def _safetensors_rows(path: Path) -> Rows:
    with open_safetensors(path) as file:
        features, name = _choose(file.keys(), path)
        ids = None if name is None else _ids(file.get_tensor(name), path)
        return int(file.get_slice(features).get_shape()[0]), ids


def _parquet_rows(path: Path) -> Rows:
    names = [name for name in read_schema(path).names if name.lower() in ID_NAMES]
    columns = read_columns(path, names[:1])
    ids = [_column_of_ids(column, path) for column in columns.values()]
    return num_rows(path), ids[0] if ids else None


def _text_rows(path: Path) -> Rows:
    values, ids, _ = _text(path)
    return len(values), ids


#: Number of rows and their ids, without a look at the features where they can be told.
ROWS_READERS: dict[str, Callable[[Path], Rows]] = {
    ".npy": _npy_rows,
    ".npz": _npz_rows,
    ".safetensors": _safetensors_rows,
    ".parquet": _parquet_rows,
    ".csv": _text_rows,
    ".tsv": _text_rows,
}


def _choose(
    names: Iterable[str], path: Path, id_column: str | None = None
) -> tuple[str, str | None]:
    """Names of the feature array and of the id array, if there is one."""
    names = list(names)
    ids = _id_names(names, id_column, path)
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
