"""A table with an item per row: its id and its title, or the path of its picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mmgraph.data.formats.interactions import check_duplicates, parse_column
from mmgraph.data.formats.parquet import is_text
from mmgraph.data.formats.tables.raw_table import RawTable, read_raw_table
from mmgraph.data.formats.tables.table_format import TableFormat
from mmgraph.data.ids import first_duplicate
from mmgraph.errors import UserError

NO_ID, ANOTHER_ROW = "no id", "another row of its id is kept"


class LeftOut(NamedTuple):
    """A row of a table that is not used: why.

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
    """The rows of a table that have an id and a content, in the order of the file.

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
    path: str | Path,
    kind: str,
    form: TableFormat | None = None,
    *,
    duplicates: str = "error",
) -> ItemTable:
    r"""Read ids and contents of a ``.csv``, ``.tsv`` or ``.parquet`` table.

    Ids are read as those of interactions are: integers if all of them are spelled so,
    else strings. Rows without an id or a content are left out.

    Args:
        path: The file.
        kind: ``"title"`` or ``"picture"``.
        form: How the table is written; its columns are ``"id"`` and the kind.
        duplicates: What to do about an id that stands in several rows: ``"error"``, or
            keep the ``"first"`` or the ``"last"`` row that has a content.

    Raises:
        UserError: With file and row, if it cannot be read, lacks a column, has an id
            twice, or no row has a content.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "items.csv"
        >>> _ = path.write_text("sku,title\n7,Tea\n9,\n")
        >>> table = read_item_table(path, "title", TableFormat({"id": "sku"}))
        >>> table.ids.tolist(), table.contents, table.left_out[0].reason
        ([7], ['Tea'], 'no title')
    """
    check_duplicates(duplicates)
    raw = read_raw_table(Path(path), ["id", kind], form)
    if raw.bad:
        raise raw.bad[0]
    if not is_text(raw.columns[kind].type):
        what = f"the column of {kind}s holds {raw.columns[kind].type}, no text"
        raise UserError(what, "name another column", path=raw.path)
    return _kept(raw, kind, duplicates)


def _kept(raw: RawTable, kind: str, duplicates: str) -> ItemTable:
    names = raw.columns["id"].cast(pa.large_string()).fill_null("")
    contents = raw.columns[kind].cast(pa.large_string()).fill_null("")
    has_id = _is_filled(names)
    reasons = np.full(len(raw), "", dtype=object)
    reasons[~_is_filled(contents)] = f"no {kind}"
    reasons[~has_id] = NO_ID
    # A row that is left out still says what ids are: "007" makes all of them strings.
    ids = _parse_ids(raw.take(has_id))
    usable = np.flatnonzero(reasons == "")
    repeats = _repeats(ids[reasons[has_id] == ""], raw.rows[usable], duplicates, raw)
    reasons[usable[repeats]] = ANOTHER_ROW
    keep = reasons == ""
    if not keep.any():
        raise UserError(f"no row has a {kind}", "name another column", path=raw.path)
    texts = contents.to_pylist()
    left_out = [
        LeftOut(int(raw.rows[n]), names[n].as_py(), texts[n], reasons[n])
        for n in np.flatnonzero(~keep).tolist()
    ]
    kept = [texts[n] for n in np.flatnonzero(keep).tolist()]
    rows = raw.rows[keep]
    return ItemTable(ids[keep[has_id]], kept, rows, tuple(left_out), raw.path)


def _is_filled(column: pa.Array) -> np.ndarray:
    filled = pc.not_equal(pc.utf8_trim_whitespace(column), "")
    return np.asarray(filled.to_numpy(zero_copy_only=False))


def _parse_ids(raw: RawTable) -> np.ndarray:
    if not len(raw):
        raise UserError("no row has an id", "fill the column in", path=raw.path)
    own = RawTable({"item": raw.columns["id"]}, raw.rows, raw.path)
    ids: np.ndarray = parse_column(own, "item").ids
    return ids


def _repeats(
    ids: np.ndarray, rows: np.ndarray, duplicates: str, raw: RawTable
) -> np.ndarray:
    """Marks of the rows that yield to another one of their id."""
    twice = first_duplicate(ids)
    if twice is None:
        return np.zeros(len(ids), dtype=bool)
    first, again = twice
    if duplicates == "error":
        raise UserError(
            f"item id {ids[again].item()!r} stands in rows {rows[first]} and "
            f"{rows[again]}",
            "keep one of them, or choose duplicates 'first' or 'last'",
            path=raw.path,
            row=int(rows[again]),
        )
    side: Literal["first", "last"] = "last" if duplicates == "last" else "first"
    return np.asarray(pd.Series(ids).duplicated(keep=side))
