"""One reader for every feature file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmgraph.data.formats.budget import check_budget
from mmgraph.data.formats.feature_formats import READERS, ROWS_READERS
from mmgraph.data.formats.input_file import check_input_file
from mmgraph.errors import UserError

ROWS_PER_CHECK = 65_536


class FeatureMatrix(NamedTuple):
    """Features ``[N, D]``, their ids or None, and the name of the dtype on disk."""

    values: np.ndarray
    ids: np.ndarray | None
    dtype: str


def read_features(
    path: str | Path, *, mmap: bool = False, dtype: str = "float32"
) -> tuple[np.ndarray, np.ndarray | None]:
    """Read the features of one modality from any accepted file.

    ==============  ===============================  ============================
    suffix          features                         item ids (optional)
    ==============  ===============================  ============================
    .npy            the array                        none: row = item id
    .npz            array ``features`` (or the only  array ``ids``, ``item_id``,
                    one besides the ids)             ...
    .safetensors    tensor ``features`` (or the      int64 tensor ``ids``, ...
                    only one besides the ids)
    .parquet        one list column, or all number   column ``item_id``, ``id``,
                    columns                          ...
    .csv, .tsv      all number columns               column ``item_id``, ``id``,
                                                     ...
    ==============  ===============================  ============================

    Args:
        path: The file.
        mmap: Leave a ``.npy`` of that dtype on disk (read-only).
        dtype: Dtype of the features returned.

    Returns:
        ``(features, ids)``: float32 ``[N, D]``, widened before any arithmetic, and
        int64 or string ids ``[N]`` or None. Values are not checked for NaN, see
        :func:`check_finite`.

    Raises:
        UserError: If the file is missing, damaged, pickled or of the wrong shape.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "visual.npz"
        >>> np.savez(path, features=np.eye(2, dtype="f2"), ids=np.array(["a", "b"]))
        >>> x, ids = read_features(path)
        >>> x.dtype.name, ids.tolist()
        ('float32', ['a', 'b'])
    """
    matrix = read_feature_matrix(path, mmap=mmap, dtype=dtype)
    return matrix.values, matrix.ids


def read_feature_matrix(
    path: str | Path,
    *,
    mmap: bool = False,
    dtype: str | None = "float32",
    id_column: str | None = None,
) -> FeatureMatrix:
    """Like :func:`read_features`, with the dtype on disk.

    Args:
        path: The file.
        mmap: Leave a ``.npy`` of that dtype on disk (read-only).
        dtype: Dtype of the features returned; None: as stored, a ``.npy`` on disk.
        id_column: Column or array of the ids, where it has none of the usual names;
            then columns that are no features are not read.

    Returns:
        The features, their ids or None, and the dtype's name.

    Raises:
        UserError: See :func:`read_features`.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "visual.npy"
        >>> np.save(path, np.eye(2, dtype=np.float16))
        >>> read_feature_matrix(path).dtype
        'float16'
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(
            f"unknown feature format {path.suffix!r}",
            f"use one of {', '.join(READERS)}",
            path=path,
        )
    check_input_file(path)
    try:
        values, ids, stored = reader(path, id_column)
    except OSError as error:
        raise UserError(
            f"cannot be read ({error.strerror or error})", "check the file", path=path
        ) from error
    if values.dtype.kind not in "fiub":
        raise UserError(
            f"features are {stored}, not numbers", "save them as float32", path=path
        )
    if values.ndim != 2 or 0 in values.shape:
        raise UserError(
            f"features have shape {list(values.shape)}, not [items, dimensions]",
            "save one row per item",
            path=path,
        )
    if ids is not None and len(ids) != len(values):
        raise UserError(
            f"{len(values)} feature rows but {len(ids)} ids",
            "give one id per row",
            path=path,
        )
    if dtype is None:  # whoever casts them takes four bytes a number
        check_budget(path, values.size * 4)
    elif not (mmap and isinstance(values, np.memmap) and values.dtype == dtype):
        check_budget(path, values.size * np.dtype(dtype).itemsize)
        with np.errstate(over="ignore"):  # shows as infinity, which check_finite names
            values = np.array(values, dtype=dtype, order="C")
    return FeatureMatrix(values, ids, stored)


def read_item_rows(path: str | Path) -> tuple[int, np.ndarray | None]:
    """The items of a feature file, without its features.

    Args:
        path: The file.

    Returns:
        Number of rows, and their ids or None, as :func:`read_features` gives them.

    Raises:
        UserError: If the file is missing or damaged as far as it is read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "visual.npz"
        >>> np.savez(path, features=np.eye(2), ids=np.array(["a", "b"]))
        >>> rows, ids = read_item_rows(path)
        >>> rows, ids.tolist()
        (2, ['a', 'b'])
    """
    path = Path(path)
    check_input_file(path)
    return ROWS_READERS[path.suffix.lower()](path)


def check_finite(values: np.ndarray, path: str | Path, *, first_row: int = 0) -> None:
    """Refuse features with NaN or infinity, naming the first row.

    Args:
        values: Features ``[N, D]``.
        path: The file they came from, for the message.
        first_row: Row of the file that ``values`` begins with.

    Raises:
        UserError: If a value is not finite.

    Example:
        >>> check_finite(np.array([[0.0], [np.nan]]), "visual.npy")
        Traceback (most recent call last):
        mmgraph.errors.UserError: visual.npy: row 1 (counted from 0) holds NaN or \
infinity - repair the row, or leave it out of a file with ids
    """
    for start in range(0, len(values), ROWS_PER_CHECK):
        broken = ~np.isfinite(values[start : start + ROWS_PER_CHECK]).all(axis=1)
        what = "holds NaN or infinity"
        fix = "repair the row, or leave it out of a file with ids"
        _refuse_rows(broken, first_row + start, what, fix, path)


def check_nonzero(values: np.ndarray, path: str | Path, *, first_row: int = 0) -> None:
    """Refuse features with a row of zeros, naming the first.

    Args:
        values: Features ``[N, D]``.
        path: The file they came from, for the message.
        first_row: Row of the file that ``values`` begins with.

    Raises:
        UserError: If a row is zero.

    Example:
        >>> check_nonzero(np.array([[1.0], [0.0]]), "visual.npy")
        Traceback (most recent call last):
        mmgraph.errors.UserError: visual.npy: row 1 (counted from 0) is zero - leave \
the row out of a file with ids, or use --zero isolate
    """
    fix = "leave the row out of a file with ids, or use --zero isolate"
    empty = np.logical_not(values.any(axis=1))
    _refuse_rows(empty, first_row, "is zero", fix, path)


def _refuse_rows(
    refused: np.ndarray, first_row: int, what: str, fix: str, path: str | Path
) -> None:
    rows = np.flatnonzero(refused)
    if rows.size:
        what = f"row {first_row + rows[0]} (counted from 0) {what}"
        raise UserError(what, fix, path=path)
