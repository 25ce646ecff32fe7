"""Rows of a table that are left out of an import, counted by kind."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmgraph.data.formats.bad_rows import BadRowsError, refuse_rows
from mmgraph.data.formats.interactions import parse_column
from mmgraph.data.formats.parquet import is_text
from mmgraph.data.formats.tables.raw_table import RawTable
from mmgraph.data.times import parse_times
from mmgraph.errors import UserError

log = logging.getLogger(__name__)


class LeftRows(NamedTuple):
    """Rows that an import leaves out for one reason.

    Attributes:
        kind: The reason.
        rows: Number of rows.
        first_row: The first of them, as messages count rows; None without a file.
        what: What is wrong with it.
        path: Its file.
        is_bad: It is a fault, not a choice.
    """

    kind: str
    rows: int
    first_row: int | None = None
    what: str = ""
    path: Path | None = None
    is_bad: bool = False

    def to_json(self) -> dict[str, Any]:
        """What a report says.

        Example:
            >>> LeftRows("rating below 4", 3, 7).to_json()
            {'kind': 'rating below 4', 'rows': 3, 'first_row': 7}
        """
        said = {"kind": self.kind, "rows": self.rows, "first_row": self.first_row}
        if self.path is not None:
            said["file"] = self.path.name
        return said


def clean(
    raw: RawTable,
    *,
    min_rating: float | None = None,
    since: str | None = None,
    until: str | None = None,
    times: bool = True,
) -> tuple[RawTable, list[LeftRows]]:
    """The rows of a table that can be parsed, and the others by kind.

    A row that has several faults counts once. What a fault is, the parsers say.

    Args:
        raw: The columns.
        min_rating: Leave rows out whose rating is smaller.
        since: Leave rows out whose time is earlier; written as the times are.
        until: Leave rows out whose time is this one or later.
        times: A time that cannot be read is a fault.

    Returns:
        The rows that stay, without the ratings; what was left out.

    Example:
        >>> users = pa.array(["ann", "", "bob", " "])
        >>> raw = RawTable({"user": users}, np.arange(4) + 2, Path("log.csv"))
        >>> table, left = clean(raw)
        >>> table.rows.tolist(), [(each.kind, each.rows) for each in left]
        ([2, 4], [('empty user id', 2)])
    """
    left = [_left(fault, fault.row, raw.path) for fault in raw.bad]
    for role in raw.columns:
        while len(raw) and (times or role != "time"):
            try:
                _refuse_blank(raw, role)
                parse_column(raw, role)
                break
            except BadRowsError as fault:
                keep = np.ones(len(raw), bool)
                keep[fault.positions] = False
                left.append(_left(fault, int(raw.rows[~keep][0]), raw.path))
                raw = raw.take(keep)
    out = np.zeros(len(raw), bool)
    for kind, marks in _not_wanted(raw, min_rating, since, until):
        own = marks & ~out
        if own.any():
            first = int(raw.rows[own][0])
            left.append(LeftRows(kind, int(own.sum()), first, path=raw.path))
        out |= own
    return raw.take(~out).without("rating"), left


def _not_wanted(
    raw: RawTable, min_rating: float | None, since: str | None, until: str | None
) -> Iterator[tuple[str, np.ndarray]]:
    """Rows that are left out by choice: a kind and its marks."""
    if not len(raw):
        return
    if min_rating is not None:
        yield f"rating below {min_rating:g}", parse_column(raw, "rating") < min_rating
    if since is not None:
        early = parse_column(raw, "time") < _bound(raw, since, "since")
        yield f"before {since}", early
    if until is not None:
        late = parse_column(raw, "time") >= _bound(raw, until, "until")
        yield f"not before {until}", late


def _bound(raw: RawTable, text: str, option: str) -> Any:
    """A time that a user writes, as the number that it is in the column of times."""
    column = raw.columns["time"]
    like = column.slice(0, 1) if is_text(column.type) else pa.array(["0"])
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        like = pa.array(["1970-01-01"])
    both = pa.concat_arrays([like.cast(pa.string()), pa.array([text])])
    try:
        return parse_times(both, raw.path, 0)[-1]
    except UserError as error:
        what = f"--{option} is {text!r}, which is no time like those of the table"
        fix = f"write it as they are: {column[0].as_py()}"
        raise UserError(what, fix, path=raw.path) from error


def _left(fault: BadRowsError, row: int | None, path: Path) -> LeftRows:
    return LeftRows(fault.kind, len(fault.positions), row, fault.what, path, True)


def _refuse_blank(raw: RawTable, role: str) -> None:
    """Refuse ids of spaces alone: in messy tables they are nobody."""
    column = raw.columns[role]
    is_coded = pa.types.is_dictionary(column.type)  # as ids of Parquet are
    names = column.dictionary if is_coded else column
    if role not in ("user", "item") or not is_text(names.type):
        return
    blank = pc.equal(pc.utf8_trim_whitespace(names), "")
    of_rows = (blank.take(column.indices) if is_coded else blank).fill_null(False)
    what, fix = f"empty {role} id", "fill it in"
    refuse_rows(of_rows.to_numpy(zero_copy_only=False), what, fix, raw.path, 0)


def refuse_bad(left: Sequence[LeftRows]) -> None:
    """Refuse a table with bad rows in one line that counts them all.

    Args:
        left: What was left out.

    Raises:
        UserError: If any of it is a fault; named is the first row of each kind.

    Example:
        >>> refuse_bad([LeftRows("rating below 4", 3)])
    """
    bad = [each for each in left if each.is_bad]
    if not bad:
        return
    first = min(bad, key=lambda each: each.first_row or 0)
    total = sum(each.rows for each in bad)
    count = "" if total == 1 else f"; {total} rows are bad: {_kinds(bad)}"
    fix = "mend them, or leave them out with --on-bad-rows drop"
    if first.kind.endswith("no ISO date like the others"):
        fix = f"say how times are written (--time-format), {fix}"
    raise UserError(
        first.what + count,
        fix,
        path=first.path,
        row=first.first_row,
    )


def log_bad(left: Sequence[LeftRows], rows: int, name: str) -> None:
    """Warn of the bad rows that are left out, in one line.

    Args:
        left: What was left out.
        rows: Number of all rows.
        name: What they are rows of.

    Example:
        >>> log_bad([LeftRows("rating below 4", 3)], 10, "log.csv")
    """
    bad = [each for each in left if each.is_bad]
    if bad:
        total = sum(each.rows for each in bad)
        log.warning(
            "%s: %d of %d rows are bad, left out: %s", name, total, rows, _kinds(bad)
        )


def _kinds(bad: Sequence[LeftRows]) -> str:
    several = len({each.path for each in bad}) > 1
    return ", ".join(
        f"{each.rows} x {each.kind} (first in row {each.first_row}"
        f"{f' of {each.path.name}' if several and each.path else ''})"
        for each in bad
    )


def concatenate(
    tables: Sequence[RawTable], splits: Sequence[int], path: Path
) -> RawTable:
    """One table of several, with the split of each.

    Args:
        tables: The tables.
        splits: Split of each; empty where a column, or nobody, says it.
        path: Their folder, for messages.

    Returns:
        The columns that all of them have.

    Example:
        >>> users = pa.array(["ann"])
        >>> one = RawTable({"user": users}, np.array([2]), Path("train.tsv"))
        >>> both = concatenate([one, one], [0, 2], Path("shop"))
        >>> both.columns["split"].to_pylist(), both.file.tolist()
        (['0', '2'], [0, 1])
    """
    if len(tables) == 1 and not splits:
        return tables[0]
    number = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    columns = {
        role: _joined([table.columns[role] for table in tables])
        for role in tables[0].columns
        if all(role in table.columns for table in tables)
    }
    if splits:
        columns["split"] = pa.array(np.asarray(splits)[number].astype(str))
    rows = np.concatenate([table.rows for table in tables])
    files = tuple(table.path for table in tables)
    return RawTable(columns, rows, path, files=files, file=number)


def _joined(columns: Sequence[pa.Array]) -> pa.Array:
    if len({column.type for column in columns}) > 1:
        columns = [pc.cast(column, pa.large_string()) for column in columns]
    return pa.chunked_array(columns).combine_chunks()
