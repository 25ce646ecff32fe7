"""A text with columns of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmgraph.data.formats.budget import check_budget
from mmgraph.data.formats.columns import INTEGER
from mmgraph.data.formats.tables.raw_table import read_all_columns
from mmgraph.data.formats.tables.table_format import SEPARATORS, TableFormat
from mmgraph.errors import UserError

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NOT_FINITE = r"^(?i:[+-]?(nan|inf|infinity)|)$"  # also where nothing stands
_OTHER_SEPARATORS = (";", "\t", "|")


@dataclass(frozen=True)
class TextColumns:
    """The columns of a text, those of numbers twice.

    Attributes:
        texts: Each column as it stands there.
        numbers: Those in which only numbers stand, as float64; NaN where nothing does.
        schema: Their types as those of a Parquet file: int64, double or string.
    """

    texts: dict[str, pa.Array]
    numbers: dict[str, np.ndarray]
    schema: pa.Schema


def read_text_numbers(path: Path) -> TextColumns:
    """Read a ``.csv`` or ``.tsv`` with a header.

    Args:
        path: The file. Where no comma stands in the header of a ``.csv``, columns may
            also be separated by ``;``, ``|`` or tabs, and numbers have a comma.

    Raises:
        UserError: If it cannot be read, a row has too few or too many fields, the first
            row holds numbers, or a single cell of a column of numbers is none.

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
    numbers, types = {}, {}
    for name, column in raw.columns.items():
        types[name] = pa.string()
        plain = column
        if separator is not None:
            plain = pc.replace_substring(column, ",", ".", max_replacements=1)
        if _is_numbers(plain, name, column, path):
            whole = pc.all(_matches(plain, INTEGER)).as_py()
            types[name] = pa.int64() if whole else pa.float64()
            numbers[name] = _numbers(plain)
    return TextColumns(raw.columns, numbers, pa.schema(types))


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


def _is_numbers(plain: pa.Array, name: str, column: pa.Array, path: Path) -> bool:
    """True of a column in which nothing but numbers stand; refused if most are."""
    is_number = _matches(plain, _NUMBER)
    others = pc.invert(pc.or_(is_number, _matches(plain, _NOT_FINITE)))
    count, wrong = pc.sum(is_number).as_py() or 0, pc.sum(others).as_py() or 0
    if not wrong or 2 * count <= len(column):
        return bool(count and not wrong)
    first = pc.index(others, True).as_py()
    what = f"{column[first].as_py()[:40]!r} in column {name!r} is no number"
    raise UserError(what, "mend the row", path=path, row=first + 2)


def _numbers(column: pa.Array) -> np.ndarray:
    text = pc.if_else(pc.equal(column, ""), "nan", pc.utf8_ltrim(column, "+"))
    values: np.ndarray = pc.cast(text, pa.float64()).to_numpy()
    return values


def _matches(column: pa.Array, pattern: str) -> pa.Array:
    return pc.match_substring_regex(column, pattern)
