"""Columns of a table of interactions: from text to ids, labels and times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mmgraph.data.ids import as_ids
from mmgraph.errors import UserError

LABELS = {
    **{"0": 0, "train": 0, "training": 0},
    **{"1": 1, "valid": 1, "val": 1, "validation": 1},
    **{"2": 2, "test": 2},
}
INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"  # what int64 surely holds and prints back alike


def parse_ids(column: pa.Array, role: str, path: Path, first_row: int) -> np.ndarray:
    """Ids as int64 where every one is spelled as an integer, else as strings.

    Args:
        column: Strings or integers.
        role: "user" or "item", for messages.
        path: The file, for messages.
        first_row: Row of the first value in the file, for messages.

    Returns:
        int64 or string array.

    Raises:
        UserError: If an id is empty, or neither integer nor string.

    Example:
        >>> parse_ids(pa.array(["7", "12"]), "user", Path("a.csv"), 2).tolist()
        [7, 12]
        >>> parse_ids(pa.array(["7", "007"]), "user", Path("a.csv"), 2).tolist()
        ['7', '007']
    """
    if pa.types.is_integer(column.type):
        return as_ids(_to_numpy(column))
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise UserError(
            f"{role} ids are {column.type}", "write integers or strings", path=path
        )
    empty = np.flatnonzero(_to_numpy(pc.equal(column, "")))
    if empty.size:
        raise UserError(
            f"empty {role} id", "fill it in", path=path, row=int(empty[0]) + first_row
        )
    if pc.all(pc.match_substring_regex(column, INTEGER)).as_py():
        return _to_numpy(pc.cast(column, pa.int64()))
    return _to_numpy(column).astype(str)


def parse_labels(column: pa.Array, path: Path, first_row: int) -> np.ndarray:
    """Split labels as 0 (train), 1 (valid), 2 (test).

    Args:
        column: The numbers, or their names in any letter case.
        path: The file, for messages.
        first_row: Row of the first value in the file, for messages.

    Returns:
        int64 array.

    Raises:
        UserError: If a label is another.

    Example:
        >>> parse_labels(pa.array(["train", "Val", "2"]), Path("a.csv"), 2).tolist()
        [0, 1, 2]
    """
    labels = pd.Series(pc.cast(column, pa.string()).to_pandas()).str.lower()
    numbers = labels.map(LABELS)
    wrong = np.flatnonzero(numbers.isna())
    if wrong.size:
        raise UserError(
            f"split label {labels[wrong[0]]!r}",
            "write 0 (train), 1 (valid) or 2 (test)",
            path=path,
            row=int(wrong[0]) + first_row,
        )
    return np.asarray(numbers, dtype=np.int64)


def parse_times(column: pa.Array, path: Path, first_row: int) -> np.ndarray:
    """Timestamps as numbers; dates become nanoseconds since 1970 (UTC).

    Args:
        column: Numbers, strings of numbers, dates, or ISO strings.
        path: The file, for messages.
        first_row: Row of the first value in the file, for messages.

    Returns:
        int64 array, or float64 where a number has a fraction.

    Raises:
        UserError: If a value is neither, or not finite.

    Example:
        >>> parse_times(pa.array(["1970-01-02"]), Path("a.csv"), 2).tolist()
        [86400000000000]
    """
    if pa.types.is_temporal(column.type):
        return _to_numpy(pc.cast(column, pa.timestamp("ns")).cast(pa.int64()))
    times = column.to_pandas()
    numbers = pd.to_numeric(times, errors="coerce")
    if pa.types.is_string(column.type) and numbers.isna().any():
        dates = pd.to_datetime(times, errors="coerce", utc=True, format="ISO8601")
        # The first row says which of the two the column holds.
        unread = dates.isna() if np.isnan(numbers.iloc[0]) else numbers.isna()
        if unread.any():
            wrong = int(unread.to_numpy().argmax())
            raise UserError(
                f"timestamp {times.iloc[wrong]!r} is no number or no ISO date like "
                "the others",
                "mend it",
                path=path,
                row=wrong + first_row,
            )
        moments: np.ndarray = dates.to_numpy(dtype="datetime64[ns]")
        return moments.astype(np.int64)
    values = numbers.to_numpy()
    broken = np.flatnonzero(~np.isfinite(values))
    if broken.size:
        raise UserError(
            "timestamp is not finite",
            "mend it",
            path=path,
            row=int(broken[0]) + first_row,
        )
    return np.asarray(
        values, dtype=np.float64 if values.dtype.kind == "f" else np.int64
    )


def _to_numpy(column: pa.Array) -> np.ndarray:
    values: np.ndarray = column.to_numpy(zero_copy_only=False)
    return values
