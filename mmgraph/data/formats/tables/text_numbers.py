"""A text with columns of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmgraph.data.formats.budget import check_budget
from mmgraph.data.formats.tables.raw_table import read_all_columns
from mmgraph.data.formats.tables.table_format import SEPARATORS, TableFormat
from mmgraph.errors import UserError

_NUMBER = (
    r"^(?i:[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?(nan|inf|infinity))$"
)
_OTHER_SEPARATORS = (";", "\t", "|")


@dataclass(frozen=True)
class TextColumns:
    """The columns of a text, those of numbers twice.

    Attributes:
        texts: Each column as it stands there.
        numbers: Those in which only numbers stand, as float64; NaN where nothing does.
        schema: Their types as those of a Parquet file: int64, double or string.
        faults: What is wrong with columns that are strings for a few cells alone.
    """

    texts: dict[str, pa.Array]
    numbers: dict[str, np.ndarray]
    schema: pa.Schema
    faults: dict[str, UserError]


def read_text_numbers(path: Path) -> TextColumns:
    """Read a ``.csv`` or ``.tsv`` with a header.

    Args:
        path: The file. Where no comma stands in the header of a ``.csv``, columns may
            also be separated by ``;``, ``|`` or tabs, and numbers have a comma.

    Raises:
        UserError: If it cannot be read, a row has too few or too many fields, or the
            first row holds numbers.

    Example:
        >>> import os, tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.csv"
        >>> _ = path.write_text(os.linesep.join(["sku;f0", "tea;0,5", "rum;"]))
        >>> columns = read_text_numbers(path)
        >>> columns.texts["sku"].to_pylist(), columns.numbers["f0"].tolist()
        (['tea', 'rum'], [0.5, nan])
    """
    separator = _separator(path)
    raw = read_all_columns(path, TableFormat(separator=separator))
    if raw.bad:
        raise raw.bad[0]
    if pc.all(_matches(pa.array(list(raw.columns)), _NUMBER)).as_py():
        what, fix = "the first row holds numbers", "add a header: item_id, f0, f1, ..."
        raise UserError(what, fix, path=path, row=1)
    check_budget(path, 8 * len(raw) * len(raw.columns))
    numbers, types, faults = {}, {}, {}
    for name, column in raw.columns.items():
        plain = _plain(column, decimal_comma=separator is not None)
        values, types[name] = _numbers(plain), pa.string()
        if values is not None:
            whole = np.isfinite(values).all() and (values == np.floor(values)).all()
            types[name] = pa.int64() if whole else pa.float64()
            numbers[name] = values
        elif fault := _fault(plain, name, column, path):
            faults[name] = fault
    return TextColumns(raw.columns, numbers, pa.schema(types), faults)


def _separator(path: Path) -> str | None:
    """What separates the names of a header, where it is not what the suffix says."""
    usual = SEPARATORS.get(path.suffix.lower())
    try:
        with path.open("rb") as file:
            first = file.readline(2**20).decode("utf-8", "replace")
    except OSError:
        return None  # whoever reads it says why
    found = [mark for mark in _OTHER_SEPARATORS if mark in first]
    return found[0] if usual and usual not in first and found else None


def _plain(column: pa.Array, *, decimal_comma: bool) -> pa.Array:
    """Numbers as Arrow reads them."""
    text = pc.utf8_ltrim(pc.utf8_trim_whitespace(column), "+")
    if decimal_comma:
        text = pc.replace_substring(text, ",", ".", max_replacements=1)
    return pc.if_else(pc.equal(text, ""), "nan", text)


def _numbers(plain: pa.Array) -> np.ndarray | None:
    """Values of a column in which nothing but numbers stand, None of another."""
    try:
        values: np.ndarray = pc.cast(plain, pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    return None if np.isnan(values).all() else values


def _fault(
    plain: pa.Array, name: str, column: pa.Array, path: Path
) -> UserError | None:
    """The first cell that is no number, of a column in which most are."""
    is_number = _matches(plain, _NUMBER)
    first = pc.index(is_number, False).as_py()
    if first < 0 or 2 * pc.sum(is_number).as_py() <= len(plain):
        return None
    what = f"{column[first].as_py()[:40]!r} in column {name!r} is no number"
    return UserError(what, "mend the row", path=path, row=first + 2)


def _matches(column: pa.Array, pattern: str) -> pa.Array:
    return pc.match_substring_regex(column, pattern)
