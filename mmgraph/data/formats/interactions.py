"""One reader for every table of interactions."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv

from mmgraph.data.formats.budget import check_budget
from mmgraph.data.formats.columns import parse_ids, parse_labels
from mmgraph.data.formats.features import check_file
from mmgraph.data.formats.parquet import is_number_list, read_columns, read_schema
from mmgraph.data.ids import CodedIds, first_duplicate, pair_keys
from mmgraph.data.times import parse_times
from mmgraph.errors import UserError

_log = logging.getLogger(__name__)

# Accepted spellings, compared in lower case.
COLUMNS = {
    "user": ("user", "user_id", "userid", "uid"),
    "item": ("item", "item_id", "itemid", "iid"),
    "split": ("split", "label", "x_label"),
    "time": ("timestamp", "time", "date"),
}
SEPARATORS = {".inter": "\t", ".tsv": "\t", ".csv": ","}
DUPLICATES = ("error", "first", "last")


@dataclass(frozen=True)
class Interactions:
    """A table of interactions in the order of the file.

    Attributes:
        user_codes: The distinct users, and which one each row has.
        item_codes: The distinct items, and which one each row has.
        label: 0 (train), 1 (valid), 2 (test) as int64 ``[n]``, or None.
        time: Timestamps ``[n]`` (dates as nanoseconds since 1970), or None.
        row: Row of each interaction in the file, for messages.
        path: The file.
    """

    user_codes: CodedIds
    item_codes: CodedIds
    label: np.ndarray | None
    time: np.ndarray | None
    row: np.ndarray
    path: Path

    @cached_property
    def user(self) -> np.ndarray:
        """User ids ``[n]``, int64 or strings."""
        return self.user_codes.ids

    @cached_property
    def item(self) -> np.ndarray:
        """Item ids ``[n]``, int64 or strings."""
        return self.item_codes.ids


def read_interactions(
    path: str | Path,
    *,
    duplicates: str = "error",
    labels: bool = True,
    times: bool = True,
) -> Interactions:
    """Read a table of interactions: ``.inter``, ``.tsv``, ``.csv`` or ``.parquet``.

    Columns by name, in any order and letter case: user (``user``, ``user_id``,
    ``userID``, ``uid``), item (``item``, ``item_id``, ``itemID``, ``iid``) and, where
    present, split (``split``, ``label``, ``x_label``: 0/1/2 or train/valid/test) and
    time (``timestamp``, ``time``, ``date``: numbers or ISO dates). Others, a rating for
    instance, are not read: every row counts as an interaction.

    Args:
        path: The file; text is UTF-8, with or without BOM, LF or CRLF.
        duplicates: Treatment of a pair that occurs again: ``"error"``, or keep its
            ``"first"`` or ``"last"`` row. A pair in two splits is always an error.
        labels: Read the split column. Without, a column ``label`` may hold anything,
            clicks for instance.
        times: Refuse a column of times that cannot be read. Without, it is left out,
            with a warning.

    Returns:
        The interactions.

    Raises:
        UserError: With file and row (the header is row 1; rows of parquet count from
            1) for whatever is wrong with it.

    Example:
        >>> import os, tempfile
        >>> path = Path(tempfile.mkdtemp()) / "interactions.csv"
        >>> lines = ["user,item,split", "ann,7,train", "bob,9,test"]
        >>> _ = path.write_text(os.linesep.join(lines))
        >>> table = read_interactions(path)
        >>> table.user.tolist(), table.item.tolist(), table.label.tolist()
        (['ann', 'bob'], [7, 9], [0, 2])
    """
    if duplicates not in DUPLICATES:
        raise UserError(
            f"duplicates is {duplicates!r}", f"write {', '.join(DUPLICATES)}"
        )
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (*SEPARATORS, ".parquet"):
        raise UserError(
            f"unknown table format {suffix!r}",
            f"use one of {', '.join((*SEPARATORS, '.parquet'))}",
            path=path,
        )
    check_file(path)
    roles = [role for role in COLUMNS if labels or role != "split"]
    try:
        return _read(path, roles, duplicates)
    except UserError as error:
        if times:
            raise
        table = _read(path, [role for role in roles if role != "time"], duplicates)
        row = "" if error.row is None else f":{error.row}"
        _log.warning("%s%s: %s; times are left out", path, row, error.what)
        return table


def _read(path: Path, roles: Sequence[str], duplicates: str) -> Interactions:
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            columns, first_row = _parquet(path, roles), 1
        else:
            columns, first_row = _text(path, SEPARATORS[suffix], roles), 2
    except OSError as error:
        raise UserError(
            f"cannot be read ({error.strerror or error})", "check the file", path=path
        ) from error
    if not len(columns["user"]):
        raise UserError("holds no interactions", "add rows", path=path)
    table = Interactions(
        user_codes=parse_ids(columns["user"], "user", path, first_row),
        item_codes=parse_ids(columns["item"], "item", path, first_row),
        label=parse_labels(columns["split"], path, first_row)
        if "split" in columns
        else None,
        time=parse_times(columns["time"], path, first_row)
        if "time" in columns
        else None,
        row=np.arange(len(columns["user"])) + first_row,
        path=path,
    )
    return _without_duplicates(table, duplicates)


def _text(path: Path, separator: str, roles: Sequence[str]) -> dict[str, pa.Array]:
    """Columns as strings. Arrow's reader: it is fast and refuses ragged rows."""
    check_budget(path, 3 * path.stat().st_size)  # the text, and the columns from it
    content = path.read_bytes().rstrip(b"\r\n")
    header = _header(content.partition(b"\n")[0], separator, path)
    if b"\n" not in content:
        raise UserError("holds no interactions", "add rows below the header", path=path)
    names = _find_columns(header, roles, path)
    # A quote that is never closed would swallow the rows that follow, this one, too.
    last_row = separator.join(["\0"] * len(header))
    content += b"\n" + last_row.encode()
    table = _parse(content, separator, list(names.values()), path)
    rows = table.num_rows - 1
    if table.column(names["user"])[rows].as_py() != "\0":
        raise UserError(
            "a quote is never closed", "mend the row", path=path, row=rows + 2
        )
    table = table.slice(0, rows)
    return {role: table.column(name).combine_chunks() for role, name in names.items()}


def _parse(content: bytes, separator: str, names: list[str], path: Path) -> pa.Table:
    try:
        return pacsv.read_csv(
            pa.BufferReader(content),
            read_options=pacsv.ReadOptions(use_threads=False),  # errors then name rows
            parse_options=pacsv.ParseOptions(
                delimiter=separator,
                quote_char='"' if separator == "," else False,
                ignore_empty_lines=False,
            ),
            convert_options=pacsv.ConvertOptions(
                include_columns=names, column_types=dict.fromkeys(names, pa.string())
            ),
        )
    except pa.ArrowException as error:
        message = str(error).splitlines()[0]
        row = re.search(r"Row #(\d+)", message)
        ragged = re.search(r"Expected (\d+) columns, got (\d+)", message)
        what = (
            f"{ragged[2]} fields where the header has {ragged[1]}"
            if ragged
            else message
        )
        if "invalid UTF8" in message:
            what = "text is not UTF-8"
        raise UserError(
            what, "mend the row", path=path, row=int(row[1]) if row else None
        ) from error


def _header(line: bytes, separator: str, path: Path) -> list[str]:
    try:
        first = line.decode("utf-8-sig").rstrip("\r")
    except UnicodeDecodeError:
        first = "\0"
    if "\0" in first:  # every other byte of UTF-16
        raise UserError("text is not UTF-8", "save it as UTF-8", path=path, row=1)
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


def _parquet(path: Path, roles: Sequence[str]) -> dict[str, pa.Array]:
    schema = read_schema(path)
    names = _find_columns(schema.names, roles, path)
    for role, name in names.items():
        if is_number_list(schema.field(name).type):
            raise UserError(
                f"column {name!r} holds lists", f"give one {role} per row", path=path
            )
    columns = {}
    ids = [names[role] for role in ("user", "item")]
    for name, column in read_columns(path, list(names.values()), coded=ids).items():
        role = next(role for role, own in names.items() if own == name)
        empty = np.flatnonzero(column.is_null().to_numpy())
        if empty.size:
            raise UserError(
                f"no {role}",
                "fill it in or drop the row",
                path=path,
                row=int(empty[0]) + 1,
            )
        columns[role] = column.combine_chunks()
    return columns


def _find_columns(
    header: Sequence[str], roles: Sequence[str], path: Path
) -> dict[str, str]:
    """Name in the file of each role; user and item must be there."""
    columns = {}
    for role in roles:
        spellings = COLUMNS[role]
        names = [name for name in header if name.lower() in spellings]
        if len(names) > 1:
            raise UserError(
                f"several {role} columns: {', '.join(names)}",
                "keep one",
                path=path,
                row=1,
            )
        if names:
            columns[role] = names[0]
        elif role in ("user", "item"):
            raise UserError(
                f"no {role} column among {', '.join(map(repr, header))}",
                f"name it one of {', '.join(spellings)}",
                path=path,
                row=1,
            )
    return columns


def _without_duplicates(table: Interactions, duplicates: str) -> Interactions:
    user, item = table.user_codes, table.item_codes
    keys = pair_keys(user.code, item.code, len(item.names))
    twice = first_duplicate(keys)
    if twice is None:
        return table
    if table.label is not None:
        order = np.argsort(keys, kind="stable")
        same = keys[order[1:]] == keys[order[:-1]]
        clash = np.flatnonzero(same & (np.diff(table.label[order]) != 0))
        if clash.size:
            pair = sorted(order[clash[0] : clash[0] + 2].tolist())
            raise UserError(
                f"{_pair(table, pair)} stand in two splits (rows "
                f"{table.row[pair[0]]} and {table.row[pair[1]]})",
                "keep one of the rows",
                path=table.path,
                row=int(table.row[pair[1]]),
            )
    if duplicates == "error":
        raise UserError(
            f"{_pair(table, twice)} occur twice (rows {table.row[twice[0]]} and "
            f"{table.row[twice[1]]})",
            "keep one of the rows, or choose duplicates 'first' or 'last'",
            path=table.path,
            row=int(table.row[twice[1]]),
        )
    side: Literal["first", "last"] = "first" if duplicates == "first" else "last"
    keep = ~pd.Series(keys).duplicated(keep=side).to_numpy()
    return Interactions(
        CodedIds(user.names, user.code[keep]),
        CodedIds(item.names, item.code[keep]),
        None if table.label is None else table.label[keep],
        None if table.time is None else table.time[keep],
        table.row[keep],
        table.path,
    )


def _pair(table: Interactions, rows: tuple[int, int] | list[int]) -> str:
    user, item = table.user[rows[0]].item(), table.item[rows[0]].item()
    return f"user {user!r} and item {item!r}"
