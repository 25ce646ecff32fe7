"""The columns of a table as they stand in its file, with the row of each value."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from mmgraph.data.formats.bad_rows import BadRowsError
from mmgraph.data.formats.budget import check_budget
from mmgraph.data.formats.input_file import check_input_file
from mmgraph.data.formats.parquet import is_number_list, read_columns, read_schema
from mmgraph.data.formats.tables.table_format import (
    TEXT,
    TableFormat,
    find_columns,
    untyped,
)
from mmgraph.errors import UserError

_UNIT = "\x1f"  # stands for a separator of several characters, which Arrow has not
_END = "\0"
_BROKEN = "\ufffd"  # what Python puts in the place of bytes that are no text
_ENCODE = "save it as UTF-8, or choose its encoding (latin-1, cp1252, ...)"
_MARKS = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16, as spreadsheets write it

#: From the header to the column of each role.
Find = Callable[[Sequence[str]], Mapping[str, str]]


@dataclass(frozen=True)
class RawTable:
    """Some columns of a table.

    Attributes:
        columns: Values of each role, strings or what a Parquet file holds.
        rows: Row of each in the file, as messages count them.
        path: The file.
        is_typed: The header has RecBole's types.
        bad: Rows that have no columns: too few or too many fields, no text. One fault
            each, ascending in their first row.
        files: The files, where the table is put together from several.
        file: Which of them each row is from.
    """

    columns: dict[str, pa.Array]
    rows: np.ndarray
    path: Path
    is_typed: bool = False
    bad: tuple[BadRowsError, ...] = ()
    files: tuple[Path, ...] = ()
    file: np.ndarray | None = None

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def take(self, keep: np.ndarray) -> RawTable:
        """The rows that are marked.

        Args:
            keep: bool ``[n]``.

        Example:
            >>> users = pa.array(["a", "b"])
            >>> table = RawTable({"user": users}, np.array([2, 3]), Path("t"))
            >>> table.take(np.array([False, True])).rows.tolist()
            [3]
        """
        mask = pa.array(keep)
        columns = {role: column.filter(mask) for role, column in self.columns.items()}
        rows, file = self.rows[keep], None if self.file is None else self.file[keep]
        return replace(self, columns=columns, rows=rows, file=file)

    def without(self, role: str) -> RawTable:
        """The other columns.

        Example:
            >>> table = RawTable({"rating": pa.array([3])}, np.array([2]), Path("t"))
            >>> table.without("rating").columns
            {}
        """
        columns = {own: each for own, each in self.columns.items() if own != role}
        return replace(self, columns=columns)


def read_raw_table(
    path: Path, roles: Collection[str], form: TableFormat | None = None
) -> RawTable:
    """Read the columns of some roles, not yet parsed.

    Args:
        path: ``.parquet``, or text with columns.
        roles: Keys of :data:`~mmgraph.data.formats.tables.table_format.COLUMNS`.
        form: How the table is written.

    Raises:
        UserError: If the file cannot be read, lacks a column, or holds no row.

    Example:
        >>> import os, tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.csv"
        >>> _ = path.write_text(os.linesep.join(["uid,item", "ann,tea"]))
        >>> read_raw_table(path, ["user", "item"]).columns["user"].to_pylist()
        ['ann']
    """
    named = None if form is None else form.columns

    def find(header: Sequence[str]) -> Mapping[str, str]:
        return find_columns(header, roles, path, named)

    return _read(path, find, form or TableFormat())


def read_all_columns(path: Path, form: TableFormat | None = None) -> RawTable:
    """Read a text with columns, each of them under its own name.

    Args:
        path: The file.
        form: How it is written.

    Raises:
        UserError: If it cannot be read, holds no row, or has a name twice.

    Example:
        >>> import os, tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.csv"
        >>> _ = path.write_text(os.linesep.join(["sku,f0", "tea,0.5"]))
        >>> columns = read_all_columns(path).columns
        >>> {name: column.to_pylist() for name, column in columns.items()}
        {'sku': ['tea'], 'f0': ['0.5']}
    """

    def find(header: Sequence[str]) -> Mapping[str, str]:
        twice = [name for name, count in Counter(header).items() if count > 1]
        if twice:
            what = f"several columns {twice[0]!r}"
            raise UserError(what, "keep one", path=path, row=1)
        return {name: name for name in header}

    return _read(path, find, form or TableFormat())


def _read(path: Path, find: Find, form: TableFormat) -> RawTable:
    is_parquet = path.suffix.lower() == ".parquet"
    separator = "" if is_parquet else form.separator_of(path)
    check_input_file(path)
    try:
        if is_parquet:
            table = _parquet(path, find)
        else:
            table = _text(path, separator, find, form)
    except OSError as error:
        raise UserError(
            f"cannot be read ({error.strerror or error})", "check the file", path=path
        ) from error
    if not len(table) and not table.bad:
        raise UserError("holds no rows", "add some", path=path)
    return table


def _text(path: Path, separator: str, find: Find, form: TableFormat) -> RawTable:
    """Columns as strings. Arrow's reader: it is fast and names ragged rows."""
    check_budget(path, 3 * path.stat().st_size)  # the text, and the columns from it
    content = _utf8(path, form.encoding).rstrip(b"\r\n")
    if len(separator) > 1:
        content = _single_separator(content, separator, path)
        separator = _UNIT
    header = _header(content.partition(b"\n")[0], separator, path)
    if not form.header:
        header = [str(number) for number in range(1, len(header) + 1)]
        content = separator.join(header).encode() + b"\n" + _without_mark(content)
    if b"\n" not in content:
        raise UserError("holds no rows", "add some below the header", path=path)
    is_text = _is_utf8(content)
    if not is_text:  # Arrow's reader would stop at it, and it may be in another column
        content = content.decode(TEXT, "replace").encode()
    names = find(header)
    # A quote that is never closed would swallow the rows that follow, this one, too.
    content += b"\n" + separator.join([_END] * len(header)).encode()
    table, ragged = _parse(content, separator, list(names.values()), path)
    first_row = 2 if form.header else 1
    total = table.num_rows + len(ragged) - 1
    ends = table.column(0)[-1].as_py() if table.num_rows else None
    if ends != _END:
        raise _open_quote(path, total + first_row)
    rows = np.arange(total) + first_row
    if ragged:
        ragged = {row - 2 + first_row: fields for row, fields in ragged.items()}
        rows = np.setdiff1d(rows, list(ragged))
    columns = {role: table.column(n).combine_chunks()[:-1] for role, n in names.items()}
    bad = (_ragged(ragged, len(header), path),) if ragged else ()
    raw = RawTable(columns, rows, path, untyped(header) is not None, bad)
    return raw if is_text else _without_broken(raw)


def _open_quote(path: Path, row: int | None = None) -> UserError:
    return UserError("a quote is never closed", "mend the row", path=path, row=row)


def _utf8(path: Path, encoding: str) -> bytes:
    content = path.read_bytes()
    if encoding.lower() in (TEXT, "utf8"):
        return content
    try:
        return content.decode(encoding).encode()
    except LookupError as error:
        fix = "write utf-8, latin-1, cp1252, utf-16, ..."
        raise UserError(f"unknown encoding {encoding!r}", fix) from error
    except UnicodeError as error:
        what = f"text is not {encoding} ({error})"
        raise UserError(what, "choose another encoding", path=path) from error


def _without_mark(content: bytes) -> bytes:
    return content.removeprefix(b"\xef\xbb\xbf")


def _single_separator(content: bytes, separator: str, path: Path) -> bytes:
    if _UNIT.encode() in content:
        what = f"the character {_UNIT!r} stands in it"
        raise UserError(what, "separate columns by one character", path=path)
    return content.replace(separator.encode(), _UNIT.encode())


def _parse(
    content: bytes, separator: str, names: list[str], path: Path
) -> tuple[pa.Table, dict[int, int]]:
    """Columns as strings, and the number of fields of each row that is ragged."""
    ragged = {}

    def skip(row: pacsv.InvalidRow) -> str:
        ragged[row.number] = row.actual_columns
        return "skip"

    has_quotes = separator not in ("\t", _UNIT)
    try:
        table = pacsv.read_csv(
            pa.BufferReader(content),
            read_options=pacsv.ReadOptions(use_threads=False),  # rows then have numbers
            parse_options=pacsv.ParseOptions(
                delimiter=separator,
                quote_char='"' if has_quotes else False,
                newlines_in_values=has_quotes and b'"' in content,
                ignore_empty_lines=False,
                invalid_row_handler=skip,
            ),
            convert_options=pacsv.ConvertOptions(
                include_columns=names, column_types=dict.fromkeys(names, pa.string())
            ),
        )
    except pa.ArrowException as error:
        message = str(error).splitlines()[0]
        if "straddling object" in message:  # a value of more than a block
            raise _open_quote(path) from error
        row = re.search(r"Row #(\d+)", message)
        raise UserError(
            message, "mend the row", path=path, row=int(row[1]) if row else None
        ) from error
    return table, ragged


def _ragged(ragged: dict[int, int], width: int, path: Path) -> BadRowsError:
    first, fields = next(iter(ragged.items()))
    what = f"{fields} fields where the header has {width}"
    return BadRowsError(
        np.array(list(ragged)),
        f"not the {width} fields of the header",
        what,
        "mend the row",
        path=path,
        row=first,
    )


def _without_broken(table: RawTable) -> RawTable:
    """The same table; rows with bytes that are no UTF-8 are bad."""
    broken = np.zeros(len(table), bool)
    for column in table.columns.values():
        found = pc.match_substring(column, _BROKEN)
        broken |= found.to_numpy(zero_copy_only=False)
    if not broken.any():
        return table
    rows = table.rows[broken]
    what, row = "text is not UTF-8", int(rows[0])
    bad = BadRowsError(rows, what, what, _ENCODE, path=table.path, row=row)
    faults = sorted([*table.bad, bad], key=lambda fault: fault.row or 0)
    return replace(table.take(~broken), bad=tuple(faults))


def _is_utf8(content: bytes) -> bool:
    ends = pa.py_buffer(np.array([0, len(content)]))
    kind = pa.large_binary()
    whole = pa.Array.from_buffers(kind, 1, [None, ends, pa.py_buffer(content)])
    try:
        pc.cast(whole, pa.large_string())
    except pa.ArrowInvalid:
        return False
    return True


def _header(line: bytes, separator: str, path: Path) -> list[str]:
    try:
        first = line.decode("utf-8-sig").rstrip("\r")
    except UnicodeDecodeError:
        first = "\0"
    if "\0" in first:  # every other byte of UTF-16
        fix = _ENCODE
        if line[:2] in _MARKS:
            fix = "save it as UTF-8, or choose its encoding (utf-16)"
        raise UserError("text is not UTF-8", fix, path=path, row=1)
    if "\r" in first:
        raise UserError(
            "lines end in CR alone", "save it with LF or CRLF", path=path, row=1
        )
    try:
        return next(csv.reader([first], delimiter=separator), [])
    except csv.Error as error:
        raise UserError(
            f"no header ({error})", "mend the row", path=path, row=1
        ) from error


def _parquet(path: Path, find: Find) -> RawTable:
    schema = read_schema(path)
    names = find(schema.names)
    for role, name in names.items():
        if is_number_list(schema.field(name).type):
            raise UserError(
                f"column {name!r} holds lists", f"give one {role} per row", path=path
            )
    ids = [names[role] for role in ("user", "item") if role in names]
    read = read_columns(path, list(names.values()), coded=ids)
    columns = {role: read[name].combine_chunks() for role, name in names.items()}
    rows = np.arange(len(read[next(iter(names.values()))])) + 1
    return RawTable(columns, rows, path, untyped(schema.names) is not None)
