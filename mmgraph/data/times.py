"""Times of interactions, from whatever holds them to numbers that keep their order.

Numbers stay what they are; points in time become nanoseconds since 1970 (UTC), which
reach from 1677-09-21 to 2262-04-11. What does not fit is refused, never wrapped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch

from mmgraph.data.formats.bad_rows import BadRowsError
from mmgraph.data.formats.parquet import is_text
from mmgraph.errors import UserError

_LARGEST = 2**63 - 1
_SECOND = 10**9
# Nanoseconds of the units that have a fixed length.
_NANOSECONDS = {
    **{"ns": 1, "us": 10**3, "ms": 10**6, "s": _SECOND},
    **{"m": 60 * _SECOND, "h": 3600 * _SECOND},
    **{"D": 86_400 * _SECOND, "W": 7 * 86_400 * _SECOND},
}
_WHOLE = r"^[+-]?[0-9]+$"
_FRACTION = r"([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?"
_NUMBER = rf"^(?i:[+-]?({_FRACTION}|inf|infinity|nan))$"
_YEAR_FIRST = r"^[0-9]{4}"  # pandas would read "now" and negative years
_EXACT = 2**53  # float64 holds every whole number below


class _Source(NamedTuple):
    """Where the times come from, for messages."""

    path: Path | None
    first_row: int

    def error(
        self, positions: np.ndarray, kind: str, what: str = "", fix: str = "mend it"
    ) -> UserError:
        """All rows of one fault; the message is of the first."""
        what = what or kind
        if self.path is None:
            where = f"timestamp {positions[0]} (counted from 0)"
            return UserError(f"{where} {what}", fix)
        return BadRowsError(
            positions,
            f"timestamp {kind}",
            f"timestamp {what}",
            fix,
            path=self.path,
            row=int(positions[0]) + self.first_row,
        )


def as_times(values: Any) -> np.ndarray:
    """Times of an array as numbers, by the rules of :func:`parse_times`.

    Args:
        values: Array-like of numbers, dates or ISO strings: list, NumPy, pandas, Arrow
            or tensor.

    Returns:
        int64 or float64 array.

    Raises:
        UserError: If a time is missing, is none, or does not fit.

    Example:
        >>> as_times(np.array(["1970-01-02"], "datetime64[D]")).tolist()
        [86400000000000]
        >>> as_times([3, 1.5]).tolist()
        [3.0, 1.5]
    """
    source = _Source(None, 0)
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values.double() if values.is_floating_point() else values).numpy()
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return _of_arrow(values, source)
    if isinstance(values, pd.Series | pd.Index):
        if not isinstance(values.dtype, np.dtype):
            return _of_arrow(pa.array(values, from_pandas=True), source)
        values = values.to_numpy()
    if isinstance(values, list | tuple):  # not to round 2**53 + 1 beside 0.5
        items = [v.item() if isinstance(v, torch.Tensor) else v for v in values]
        values = np.array(items, dtype=object)
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"timestamps must be one-dimensional (got {array.shape})")
    if not array.size:
        return np.zeros(0, np.int64)
    if array.dtype.kind == "M":
        return _of_datetimes(array, source)
    if array.dtype.kind in "iuf":
        return _of_numbers(array, source)
    return _of_arrow(_objects_to_arrow(array.astype(object)), source)


def parse_times(column: pa.Array, path: Path, first_row: int) -> np.ndarray:
    """Times of a column as numbers; dates become nanoseconds since 1970 (UTC).

    Args:
        column: Numbers, strings of numbers, dates, or ISO strings.
        path: The file, for messages.
        first_row: Row of the first value in the file, for messages.

    Returns:
        int64 array, or float64 where a number has a fraction.

    Raises:
        UserError: If a value is neither, not finite, outside the range of int64, or
            would lose digits; if the column holds times of day or durations.

    Example:
        >>> parse_times(pa.array(["1970-01-02"]), Path("a.csv"), 2).tolist()
        [86400000000000]
        >>> parse_times(pa.array(["9999-12-31"]), Path("a.csv"), 2)
        Traceback (most recent call last):
        mmgraph.data.formats.bad_rows.BadRowsError: a.csv:2: timestamp 9999-12-31 is \
outside the years 1678 to 2261 - write whole numbers, such as days since 1970
    """
    return _of_arrow(column, _Source(path, first_row))


def _of_arrow(column: pa.Array | pa.ChunkedArray, source: _Source) -> np.ndarray:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    missing = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
    if missing.size:
        raise source.error(missing, "is missing", fix="fill it in")
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _of_numbers(column.to_numpy(zero_copy_only=False), source)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        days = pa.types.is_date32(kind)
        counts = column.view(pa.int32() if days else pa.int64())
        unit = "D" if days else getattr(kind, "unit", "ms")  # date64 counts ms
        return _of_counts(counts.to_numpy(zero_copy_only=False), unit, 1, source)
    if pa.types.is_decimal(kind):
        return _of_text(pc.cast(column, pa.string()), source)
    if is_text(kind):
        return _of_text(pc.cast(column, pa.large_string()), source)
    raise UserError(
        f"times are {kind}, not points in time",
        "write numbers or ISO dates",
        path=source.path,
    )


def _objects_to_arrow(array: np.ndarray) -> pa.Array:
    try:
        kind = pd.api.types.infer_dtype(array)
        if kind in (
            "mixed",
            "mixed-integer",
        ):  # Arrow would take 0 beside dates for 1970
            raise TypeError("several types")
        if kind in ("datetime", "datetime64", "date"):
            dates = pd.Series(pd.to_datetime(array, utc=True))
            return pa.array(dates, from_pandas=True)
        return pa.array(array, from_pandas=True)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise UserError(
            f"timestamps are no times of one kind ({str(error).splitlines()[0]})",
            "give numbers that int64 or float64 holds, dates, or ISO strings",
        ) from error


def _of_numbers(values: np.ndarray, source: _Source) -> np.ndarray:
    if values.dtype.kind == "f":
        broken = np.flatnonzero(~np.isfinite(values))
        if broken.size:
            raise source.error(broken, "is not finite")
        return values.astype(np.float64)
    if values.dtype.kind == "u":
        above = np.flatnonzero(values > _LARGEST)
        if above.size:
            raise _too_large(values[above[0]], above, source)
    return values.astype(np.int64)


def _too_large(value: object, positions: np.ndarray, source: _Source) -> UserError:
    kind = "does not fit into int64"
    return source.error(positions, kind, f"{value} {kind}")


def _of_datetimes(values: np.ndarray, source: _Source) -> np.ndarray:
    unit, count = np.datetime_data(values.dtype)
    missing = np.flatnonzero(np.isnat(values))
    if missing.size:
        raise source.error(missing, "is missing", fix="fill it in")
    if unit in ("Y", "M"):
        far = np.flatnonzero(abs(values.astype(np.int64)) > 10_000)
        if far.size:  # or the count of days would wrap
            raise _outside(values[far[0]], far, source)
        return _of_datetimes(values.astype("datetime64[D]"), source)
    if unit not in _NANOSECONDS:
        raise UserError(f"timestamps are {values.dtype}", "convert them to ns")
    return _of_counts(values.astype(np.int64), unit, count, source)


def _of_counts(counts: np.ndarray, unit: str, step: int, source: _Source) -> np.ndarray:
    """Nanoseconds from counts of a unit since 1970."""
    factor = _NANOSECONDS[unit] * step
    limit = _LARGEST // factor
    far = np.flatnonzero((counts > limit) | (counts < -limit))
    if far.size:
        date = np.array(int(counts[far[0]]), dtype=f"datetime64[{step}{unit}]")
        raise _outside(str(date).partition("T")[0], far, source)
    return np.asarray(counts.astype(np.int64) * factor)


def _outside(date: object, positions: np.ndarray, source: _Source) -> UserError:
    kind = "is outside the years 1678 to 2261"
    fix = "write whole numbers, such as days since 1970"
    return source.error(positions, kind, f"{date} {kind}", fix)


def _of_text(column: pa.Array, source: _Source) -> np.ndarray:
    """Numbers or ISO dates; the first row that is either says which of the two."""
    text = pc.utf8_trim_whitespace(column)
    numbers = _matches(text, _NUMBER)
    dates = None if numbers[:1].all() else _dates(text)
    if dates is not None and numbers[~np.isnat(dates) | numbers][:1].any():
        dates = None
    wrong = np.flatnonzero(~numbers if dates is None else np.isnat(dates))
    if wrong.size:
        kind = "is no number or no ISO date like the others"
        shown = column[int(wrong[0])].as_py()
        raise source.error(wrong, kind, f"{shown!r} {kind}")
    if dates is not None:
        return _of_datetimes(dates, source)
    if _matches(text, _WHOLE).all():
        return _whole_numbers(text, source)
    return _fractions(text, source)


def _matches(text: pa.Array, pattern: str) -> np.ndarray:
    found = pc.match_substring_regex(text, pattern)
    values: np.ndarray = found.to_numpy(zero_copy_only=False)
    return values


def _dates(text: pa.Array) -> np.ndarray:
    read = pd.to_datetime(text.to_pandas(), errors="coerce", utc=True, format="ISO8601")
    dates: np.ndarray = read.dt.tz_localize(None).to_numpy().copy()
    dates[~_matches(text, _YEAR_FIRST)] = np.datetime64("NaT")
    return dates


def _whole_numbers(text: pa.Array, source: _Source) -> np.ndarray:
    try:
        read = pc.cast(pc.utf8_ltrim(text, "+"), pa.int64())
    except pa.ArrowInvalid:
        listed = text.to_pylist()
        wide = np.flatnonzero([not _fits(value) for value in listed])
        if not wide.size:
            raise
        first = listed[wide[0]]
        shown = first if len(first) < 40 else f"{first[:30]}..."
        raise _too_large(shown, wide, source) from None
    values: np.ndarray = read.to_numpy(zero_copy_only=False)
    return values


def _fits(value: str) -> bool:
    digits = value.lstrip("+-0")
    return len(digits) <= 19 and -(2**63) <= int(value) <= _LARGEST


def _fractions(text: pa.Array, source: _Source) -> np.ndarray:
    values = _of_numbers(pc.cast(text, pa.float64()).to_numpy(), source)
    whole = _matches(text, _WHOLE)
    large = np.flatnonzero(whole & (abs(values) >= _EXACT)).tolist()
    lost = [n for n in large if int(text[n].as_py()) != int(values[n])]
    if lost:
        kind = "loses its last digits beside fractions"
        what, fix = f"{text[lost[0]]} {kind}", "write whole numbers everywhere"
        raise source.error(np.array(lost), kind, what, fix)
    return values
