from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmgraph.data.formats.tables.raw_table import RawTable
from mmgraph.data.importing.cleaning import clean, concatenate, log_bad, refuse_bad
from mmgraph.errors import UserError

PATH = Path("log.csv")
CELLS = {
    "user": st.sampled_from(["ann", "bob", "", " ", "a\0b"]),
    "item": st.sampled_from(["7", "8", "", "\t"]),
    "split": st.sampled_from(["train", "2", "what", ""]),
    "time": st.sampled_from(["3", "99999999999999999999", "-7", "soon", "", "nan"]),
    "rating": st.sampled_from(["1", "4.5", "five", "inf", ""]),
}
ROWS = st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=20)


def is_good(row):
    """One row by itself, in words of its own."""
    return (
        row["user"] in ("ann", "bob")
        and row["item"] in ("7", "8")
        and row["split"] in ("train", "2")
        and row["time"] in ("3", "-7")
        and row["rating"] in ("1", "4.5")
    )


@given(ROWS)
def test_every_bad_row_is_counted_once_and_every_good_one_stays(rows):
    columns = {role: pa.array([row[role] for row in rows]) for role in CELLS}
    raw = RawTable(columns, np.arange(len(rows)) + 2, PATH)
    table, left = clean(raw, min_rating=2)
    good = [n + 2 for n, row in enumerate(rows) if is_good(row)]
    low = [n for n in good if rows[n - 2]["rating"] == "1"]
    assert table.rows.tolist() == [n for n in good if n not in low]
    assert sum(each.rows for each in left if each.is_bad) == len(rows) - len(good)
    assert sum(each.rows for each in left if not each.is_bad) == len(low)
    assert "rating" not in table.columns
    assert all(each.first_row not in set(good) - set(low) for each in left)


@pytest.mark.parametrize("coded", [False, True])  # ids of Parquet are read as codes
@pytest.mark.parametrize("role", ["user", "item"])
def test_blank_ids_are_bad_rows_however_they_are_held(role, coded):
    names = pa.array(["ann", " ", "", "bob", "\t", None])
    columns = {"user": pa.array(range(6)), "item": pa.array(range(6))}
    columns[role] = names.dictionary_encode() if coded else names
    table, left = clean(RawTable(columns, np.arange(6) + 1, PATH))
    assert table.rows.tolist() == [1, 4]
    kinds = {each.kind: (each.rows, each.first_row) for each in left}
    assert kinds == {f"empty {role} id": (3, 2), f"no {role}": (1, 6)}


def test_missing_values_of_parquet_are_bad_rows():
    columns = {"user": pa.array([1, None, 3]), "item": pa.array(["a", "b", None])}
    table, left = clean(RawTable(columns, np.arange(3) + 1, PATH))
    assert table.rows.tolist() == [1]
    assert [(each.kind, each.first_row) for each in left] == [
        ("no user", 2),
        ("no item", 3),
    ]


def test_times_that_nobody_needs_are_not_looked_at():
    columns = {
        "user": pa.array(["a"]),
        "item": pa.array(["b"]),
        "time": pa.array(["x"]),
    }
    raw = RawTable(columns, np.array([2]), PATH)
    assert len(clean(raw, times=False)[0]) == 1
    assert len(clean(raw)[0]) == 0


def test_the_first_readable_time_says_whether_all_are_dates():
    for times, stay in ((["", "3", "x"], [3]), (["", "2024-01-01", "5x"], [3])):
        ids = pa.array(["a"] * 3)
        columns = {"user": ids, "item": ids, "time": pa.array(times)}
        table, _ = clean(RawTable(columns, np.arange(3) + 2, PATH))
        assert table.rows.tolist() == stay


def test_bad_rows_are_one_line(caplog):
    columns = {"user": pa.array(["", "a", ""]), "item": pa.array(["1", "", "1"])}
    _, left = clean(RawTable(columns, np.arange(3) + 2, PATH))
    kinds = "2 x empty user id .first in row 2., 1 x empty item id .first in row 3."
    message = f"log.csv:2: empty user id; 3 rows are bad: {kinds} - mend them, or leave"
    with pytest.raises(UserError, match=message):
        refuse_bad(left)
    log_bad(left, 9, "log.csv")
    assert caplog.messages[0].startswith("log.csv: 3 of 9 rows are bad, left out: 2 x")


def test_tables_of_different_types_are_put_together():
    parts = [pa.array([7, 8]), pa.array(["x"]), pa.array(["y"]).dictionary_encode()]
    tables = [
        RawTable({"item": part, "user": part}, np.arange(len(part)), Path(f"{n}"))
        for n, part in enumerate(parts)
    ]
    both = concatenate(tables, [0, 1, 2], Path())
    assert both.columns["item"].to_pylist() == ["7", "8", "x", "y"]
    assert both.columns["split"].to_pylist() == ["0", "0", "1", "2"]
    assert both.rows.tolist() == [0, 1, 0, 0]
