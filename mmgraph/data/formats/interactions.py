"""One reader for every table of interactions."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from mmgraph.data.formats.bad_rows import BadRowsError, refuse_rows
from mmgraph.data.formats.columns import parse_ids, parse_labels, parse_ratings
from mmgraph.data.formats.tables.raw_table import RawTable, read_raw_table
from mmgraph.data.ids import CodedIds, first_duplicate, pair_keys
from mmgraph.data.times import parse_times
from mmgraph.errors import UserError

_log = logging.getLogger(__name__)

DUPLICATES = ("error", "first", "last")
_PARSERS = {"split": parse_labels, "time": parse_times, "rating": parse_ratings}


@dataclass(frozen=True)
class Interactions:
    """A table of interactions in the order of the file.

    Attributes:
        user_codes: The distinct users, and which one each row has.
        item_codes: The distinct items, and which one each row has.
        label: 0 (train), 1 (valid), 2 (test) as int64 ``[n]``, or None.
        time: Timestamps ``[n]`` (dates as nanoseconds since 1970), or None.
        row: Row of each interaction in its file, for messages.
        path: The file, or the folder of several.
        is_numbered: Ids must be 0, 1, ... without gaps, as MMRec's are.
        files: The files, where there are several.
        file: Which of them each interaction is from.
    """

    user_codes: CodedIds
    item_codes: CodedIds
    label: np.ndarray | None
    time: np.ndarray | None
    row: np.ndarray
    path: Path
    is_numbered: bool = False
    files: tuple[Path, ...] = ()
    file: np.ndarray | None = None

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
    check_duplicates(duplicates)
    path = Path(path)
    roles = ["user", "item", *(["split"] if labels else []), "time"]
    raw = read_raw_table(path, roles)
    if raw.bad:
        raise raw.bad[0]
    return parse_interactions(raw, duplicates=duplicates, times=times)


def check_duplicates(duplicates: str) -> None:
    """Refuse a treatment of pairs that occur again, unless it is one.

    Example:
        >>> check_duplicates("first")
    """
    if duplicates not in DUPLICATES:
        raise UserError(
            f"duplicates is {duplicates!r}", f"write {', '.join(DUPLICATES)}"
        )


def parse_interactions(
    raw: RawTable, *, duplicates: str = "error", times: bool = True
) -> Interactions:
    """Parse the columns of a table, see :func:`read_interactions`.

    Args:
        raw: The columns.
        duplicates: See there.
        times: See there.

    Raises:
        BadRowsError: Of the first fault, with all rows that have it.

    Example:
        >>> columns = {"user": pa.array(["ann"]), "item": pa.array(["7"])}
        >>> raw = RawTable(columns, np.array([2]), Path("shop.csv"))
        >>> parse_interactions(raw).item.tolist()
        [7]
    """
    parsed = {}
    for role in raw.columns:
        try:
            parsed[role] = parse_column(raw, role)
        except UserError as error:
            if role != "time" or times:
                raise
            row = "" if error.row is None else f":{error.row}"
            _log.warning("%s%s: %s; times are left out", raw.path, row, error.what)
    table = Interactions(
        user_codes=parsed["user"],
        item_codes=parsed["item"],
        label=parsed.get("split"),
        time=parsed.get("time"),
        row=raw.rows,
        path=raw.path,
        is_numbered=raw.path.suffix.lower() == ".inter" and not raw.is_typed,
        files=raw.files,
        file=raw.file,
    )
    return _without_duplicates(table, duplicates)


def parse_column(raw: RawTable, role: str) -> Any:
    """Values of one column by the rule of its role.

    Args:
        raw: The columns.
        role: Which one.

    Returns:
        :class:`~mmgraph.data.ids.CodedIds` or an array.

    Raises:
        BadRowsError: With all rows that have the first fault.

    Example:
        >>> raw = RawTable({"time": pa.array(["3", "9"])}, np.array([2, 3]), Path("t"))
        >>> parse_column(raw, "time").tolist()
        [3, 9]
    """
    try:
        return _parse(raw.columns[role], role, raw.path, int(raw.rows[0]))
    except BadRowsError as fault:  # rows may be missing before it
        where = int(raw.rows[fault.positions[0]])
        raise BadRowsError(
            fault.positions, fault.kind, fault.what, fault.fix, path=raw.path, row=where
        ) from None


def _parse(column: pa.Array, role: str, path: Path, first_row: int) -> Any:
    fix = "fill it in or drop the row"
    is_null = column.is_null().to_numpy(zero_copy_only=False)
    refuse_rows(is_null, f"no {role}", fix, path, first_row)
    if role in ("user", "item"):
        return parse_ids(column, role, path, first_row)
    return _PARSERS[role](column, path, first_row)


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
                f"{_pair(table, pair)} stand in two splits ({_rows(table, pair)})",
                "keep one of the rows",
                path=table.path,
                row=None if table.files else int(table.row[pair[1]]),
            )
    if duplicates == "error":
        again = int(pd.Series(keys).duplicated().sum())
        more = f"; {again} rows repeat a pair" if again > 1 else ""
        raise UserError(
            f"{_pair(table, twice)} occur twice ({_rows(table, twice)}){more}",
            "keep one of the rows, or choose duplicates 'first' or 'last'",
            path=table.path,
            row=None if table.files else int(table.row[twice[1]]),
        )
    side: Literal["first", "last"] = "first" if duplicates == "first" else "last"
    keep = ~pd.Series(keys).duplicated(keep=side).to_numpy()
    return replace(
        table,
        user_codes=CodedIds(user.names, user.code[keep]),
        item_codes=CodedIds(item.names, item.code[keep]),
        label=None if table.label is None else table.label[keep],
        time=None if table.time is None else table.time[keep],
        row=table.row[keep],
        file=None if table.file is None else table.file[keep],
    )


def _rows(table: Interactions, pair: tuple[int, int] | list[int]) -> str:
    one, other = (int(table.row[position]) for position in pair)
    if table.file is None:
        return f"rows {one} and {other}"
    of_one, of_other = (table.files[table.file[position]].name for position in pair)
    return f"row {one} of {of_one} and row {other} of {of_other}"


def _pair(table: Interactions, rows: tuple[int, int] | list[int]) -> str:
    user, item = table.user[rows[0]].item(), table.item[rows[0]].item()
    return f"user {user!r} and item {item!r}"
