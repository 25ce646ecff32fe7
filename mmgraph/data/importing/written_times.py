"""Times that are written otherwise than as numbers or ISO dates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa

from mmgraph.data.formats.parquet import is_text
from mmgraph.data.formats.tables.raw_table import RawTable
from mmgraph.data.importing.cleaning import LeftRows
from mmgraph.errors import UserError


def read_written_times(
    raw: RawTable, time_format: str
) -> tuple[RawTable, list[LeftRows]]:
    """Read the times of a table by their format.

    Args:
        raw: The columns, with strings as times.
        time_format: As Python's ``strptime`` takes it.

    Returns:
        The rows whose times are written so, as points in time; the others.

    Raises:
        UserError: If the times are no text, or the format is none.

    Example:
        >>> from pathlib import Path
        >>> times = pa.array(["31/12/2025", "soon"])
        >>> raw = RawTable({"time": times}, np.array([2, 3]), Path("log.csv"))
        >>> table, left = read_written_times(raw, "%d/%m/%Y")
        >>> str(table.columns["time"][0]), left[0].first_row
        ('2025-12-31 00:00:00', 3)
    """
    column = raw.columns["time"]
    if not is_text(column.type):
        what = f"the times are {column.type}, which have no format"
        raise UserError(what, "leave --time-format out", path=raw.path)
    try:
        read = pd.to_datetime(
            column.to_pandas(), format=time_format, errors="coerce", utc=True
        )
    except ValueError as error:
        what = f"cannot read times by {time_format!r} ({error})"
        raise UserError(what, "write --time-format '%d/%m/%Y %H:%M'") from error
    wrong = np.asarray(read.isna())
    times = pa.array(read.dt.tz_localize(None), from_pandas=True)
    table = replace(raw, columns={**raw.columns, "time": times}).take(~wrong)
    if not wrong.any():
        return table, []
    first = int(wrong.argmax())
    kind = f"timestamp is not written as {time_format}"
    what = f"timestamp {column[first].as_py()!r} is not written as {time_format}"
    left = LeftRows(
        kind, int(wrong.sum()), int(raw.rows[first]), what, raw.path, is_bad=True
    )
    return table, [left]
