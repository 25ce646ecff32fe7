"""A table with an item per row: its id and its title, or the path of its picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mmgraph.data.formats.budget import check_budget
from mmgraph.data.formats.columns import parse_ids
from mmgraph.data.formats.feature_formats import ID_NAMES
from mmgraph.data.formats.features import check_file
from mmgraph.data.formats.parquet import is_text, read_columns, read_schema
from mmgraph.data.ids import first_duplicate
from mmgraph.errors import UserError

#: Names of the column that is encoded, where the user names none, in any letter case.
CONTENT_NAMES = {
    "title": ("title", "titles", "item_title"),
    "picture": ("image", "picture", "image_path", "picture_path"),
}
DUPLICATES = ("error", "first", "last")
NO_ID, ANOTHER_ROW = "no id", "another row of its id is kept"
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_UTF8 = ("utf-8", "utf8")


@dataclass(frozen=True)
class TableForm:
    """What the name and the header of a table do not say.

    Attributes:
        content: Column that is encoded; by default one of :data:`CONTENT_NAMES`.
        item: Column of the item ids; by default one that a feature file may have.
        separator: Character between columns of text, or ``"tab"``; by default that of
            the suffix.
        encoding: Of text.
        duplicates: What to do about an id that stands in several rows: ``"error"``, or
            keep the ``"first"`` or the ``"last"`` row that has a content.
    """

    content: str | None = None
    item: str | None = None
    separator: str | None = None
    encoding: str = "utf-8"
    duplicates: str = "error"


class LeftOut(NamedTuple):
    """A row of a table that has no features: why.

    Attributes:
        row: In the file, as messages count it.
        item_id: Its id as text, empty where it has none.
        content: Its title, or path of a picture.
        reason: The same words for all rows of a kind.
        detail: More about this one.
    """

    row: int
    item_id: str
    content: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class ItemTable:
    """The rows of a table that can be encoded, in the order of the file.

    Attributes:
        ids: Distinct ids ``[n]``, int64 or strings.
        contents: Title of each, or path of its picture as it stands in the table.
        rows: Row of each in the file.
        left_out: The other rows: without an id or a content, or repeats.
        path: The file.
    """

    ids: np.ndarray
    contents: list[str]
    rows: np.ndarray
    left_out: tuple[LeftOut, ...]
    path: Path


def read_item_table(
    path: str | Path, kind: str, form: TableForm | None = None
) -> ItemTable:
    r"""Read ids and contents of a ``.csv``, ``.tsv`` or ``.parquet`` table.

    Ids are read as those of interactions are: integers if all of them are spelled so,
    else strings. Rows without an id or a content are left out.

    Args:
        path: The file.
        kind: ``"title"`` or ``"picture"``.
        form: How the table is written.

    Raises:
        UserError: With file and row, if it cannot be read, lacks a column, has an id
            twice, or no row has a content.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "items.csv"
        >>> _ = path.write_text("item_id,title\n7,Tea\n9,\n")
        >>> table = read_item_table(path, "title")
        >>> table.ids.tolist(), table.contents, table.left_out[0].reason
        ([7], ['Tea'], 'no title')
    """
    path, form = Path(path), form or TableForm()
    if form.duplicates not in DUPLICATES:
        raise UserError(
            f"duplicates is {form.duplicates!r}", f"write {', '.join(DUPLICATES)}"
        )
    check_file(path)
    is_parquet = path.suffix.lower() == ".parquet"
    try:
        read = _parquet(path, kind, form) if is_parquet else _text(path, kind, form)
    except OSError as error:
        raise UserError(
            f"cannot be read ({error.strerror or error})", "check the file", path=path
        ) from error
    return _kept(*read, kind, form, path, first_row=1 if is_parquet else 2)


def _kept(
    id_column: pa.Array,
    content_column: pa.Array,
    kind: str,
    form: TableForm,
    path: Path,
    first_row: int,
) -> ItemTable:
    rows = np.arange(len(id_column)) + first_row
    names = id_column.cast(pa.large_string()).fill_null("")
    contents = content_column.cast(pa.large_string()).fill_null("")
    has_id = _is_filled(names)
    reasons = np.full(len(rows), "", dtype=object)
    reasons[~_is_filled(pc.utf8_trim_whitespace(contents))] = f"no {kind}"
    reasons[~has_id] = NO_ID
    # A row that is left out still says what ids are: "007" makes all of them strings.
    ids = _parse_ids(id_column.filter(pa.array(has_id)), rows[has_id], path)
    usable = np.flatnonzero(reasons == "")
    repeats = _repeats(ids[reasons[has_id] == ""], rows[usable], form, path)
    reasons[usable[repeats]] = ANOTHER_ROW
    keep = reasons == ""
    if not keep.any():
        fix = "name the right --column"
        raise UserError(f"no row has a {kind}", fix, path=path)
    texts = contents.to_pylist()
    left_out = [
        LeftOut(int(rows[n]), names[n].as_py(), texts[n], reasons[n])
        for n in np.flatnonzero(~keep).tolist()
    ]
    kept = [texts[n] for n in np.flatnonzero(keep).tolist()]
    return ItemTable(ids[keep[has_id]], kept, rows[keep], tuple(left_out), path)


def _is_filled(column: pa.Array) -> np.ndarray:
    return np.asarray(pc.not_equal(column, "").to_numpy(zero_copy_only=False))


def _parse_ids(column: pa.Array, rows: np.ndarray, path: Path) -> np.ndarray:
    """Ids of some rows of the file."""
    if not len(column):
        raise UserError("no row has an id", "fill the column in", path=path)
    try:
        return parse_ids(column, "item", path, first_row=0).ids
    except UserError as error:
        if error.row is None:
            raise
        row = int(rows[error.row])
        raise UserError(error.what, error.fix, path=path, row=row) from error


def _repeats(
    ids: np.ndarray, rows: np.ndarray, form: TableForm, path: Path
) -> np.ndarray:
    """Marks of the rows that yield to another one of their id."""
    twice = first_duplicate(ids)
    if twice is None:
        return np.zeros(len(ids), dtype=bool)
    first, again = twice
    if form.duplicates == "error":
        raise UserError(
            f"item id {ids[again].item()!r} stands in rows {rows[first]} and "
            f"{rows[again]}",
            "keep one of them, or choose duplicates 'first' or 'last'",
            path=path,
            row=int(rows[again]),
        )
    side: Literal["first", "last"] = "last" if form.duplicates == "last" else "first"
    return np.asarray(pd.Series(ids).duplicated(keep=side))


def _find_columns(
    header: Sequence[str], kind: str, form: TableForm, path: Path
) -> tuple[str, str]:
    """Names in the file of the ids and of what is encoded."""
    item = _find(header, form.item, ID_NAMES, "item id", "--item-col", path)
    rest = [name for name in header if name != item]
    return item, _find(rest, form.content, CONTENT_NAMES[kind], kind, "--column", path)


def _find(
    header: Sequence[str],
    named: str | None,
    usual: Sequence[str],
    role: str,
    option: str,
    path: Path,
) -> str:
    wanted = usual if named is None else (named.lower(),)
    names = [name for name in header if name.lower() in wanted]
    if named in names:
        names = [name for name in names if name == named]
    if len(names) == 1:
        return names[0]
    listed = ", ".join(map(repr, names or header))
    what = f"no column {named!r}" if named is not None else f"no {role} column"
    if names:
        what = f"several {role} columns"
    raise UserError(f"{what} among {listed}", f"name it by {option}", path=path, row=1)


def _parquet(path: Path, kind: str, form: TableForm) -> tuple[pa.Array, pa.Array]:
    schema = read_schema(path)
    item, content = _find_columns(schema.names, kind, form, path)
    columns = read_columns(path, [item, content])
    for name in (item, content):
        if not len(columns[name]):
            raise UserError("holds no rows", "add some", path=path)
    if not is_text(columns[content].type):
        what = f"column {content!r} holds {columns[content].type}, no text"
        raise UserError(what, "name the right --column", path=path)
    ids = columns[item].combine_chunks()
    if not (is_text(ids.type) or pa.types.is_integer(ids.type)):
        raise UserError(
            f"item ids are {ids.type}", "write integers or strings", path=path
        )
    return ids, columns[content].combine_chunks()


def _text(path: Path, kind: str, form: TableForm) -> tuple[pa.Array, pa.Array]:
    separator = _separator(path, form)
    check_budget(path, 5 * path.stat().st_size)  # bytes, text and its columns
    rows = _rows(
        io.StringIO(_decode(path, form).rstrip("\r\n"), newline=""), separator, path
    )
    header = next(rows, [])
    item, content = (header.index(n) for n in _find_columns(header, kind, form, path))
    pairs = [(row[item], row[content]) for row in rows]
    if not pairs:
        raise UserError("holds no rows", "add some below the header", path=path)
    ids, contents = zip(*pairs, strict=True)
    return pa.array(ids, pa.large_string()), pa.array(contents, pa.large_string())


def _separator(path: Path, form: TableForm) -> str:
    if form.separator is None:
        suffix = path.suffix.lower()
        if suffix not in _SEPARATORS:
            known = ", ".join((*_SEPARATORS, ".parquet"))
            what = f"unknown table format {suffix!r}"
            raise UserError(what, f"use one of {known}, or give --sep", path=path)
        return _SEPARATORS[suffix]
    separator = {"tab": "\t", "\\t": "\t"}.get(form.separator, form.separator)
    if len(separator) != 1 or separator in '"\r\n\0':
        raise UserError(
            f"{separator!r} cannot separate columns",
            "write the one character between two columns, or tab",
        )
    return separator


def _decode(path: Path, form: TableForm) -> str:
    encoding = "utf-8-sig" if form.encoding.lower() in _UTF8 else form.encoding
    content = path.read_bytes()
    try:
        return content.decode(encoding)
    except LookupError as error:
        what = f"unknown encoding {form.encoding!r}"
        raise UserError(what, "write utf-8, latin-1, cp1252, ...") from error
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        raise UserError(
            f"text is not {form.encoding}",
            "name its --encoding, latin-1 for instance",
            path=path,
            row=content.count(b"\n", 0, start) + 1,
        ) from error


def _rows(text: io.StringIO, separator: str, path: Path) -> Iterator[list[str]]:
    """The header, then the rows; a blank line is a row of empty fields."""
    reader = csv.reader(
        text,
        delimiter=separator,
        quoting=csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL,
        strict=True,
    )
    width, row = None, 0
    try:
        for row, fields in enumerate(reader, start=1):
            width = len(fields) if width is None else width
            if fields and len(fields) != width:
                what = f"{len(fields)} fields where the header has {width}"
                raise UserError(what, "mend the row", path=path, row=row)
            yield fields or [""] * width
    except csv.Error as error:
        what = f"cannot be read ({error})"
        raise UserError(what, "mend its quotes", path=path, row=row + 1) from error
