from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmgraph.data.formats.tables.raw_table import read_raw_table
from mmgraph.data.formats.tables.table_format import TableFormat
from mmgraph.errors import UserError

ROLES = ["user", "item"]
CELLS = st.text("ab7 é€;,|:'", min_size=1, max_size=4).filter(lambda s: s == s.strip())


@given(
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=3), min_size=1, max_size=12),
    separator=st.sampled_from([",", ";", "|"]),
    encoding=st.sampled_from(["utf-8", "cp1252", "utf-16", "utf-8-sig"]),
    header=st.booleans(),
)
def test_rows_are_those_of_pythons_reader(
    tmp_path_factory, rows, separator, encoding, header
):
    path = tmp_path_factory.getbasetemp() / "log.txt"
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerows([["user", "item"], *rows])
    names = {} if header else {"user": "1", "item": "2"}
    path.write_bytes(text.getvalue().encode(encoding))
    form = TableFormat(names, separator, encoding, header)
    table = read_raw_table(path, ROLES, form)
    first = 2 if header else 1
    own = rows if header else [["user", "item"], *rows]
    whole = [(n + first, *row) for n, row in enumerate(own) if len(row) == 2]
    users, items = (table.columns[role].to_pylist() for role in ROLES)
    assert list(zip(table.rows.tolist(), users, items, strict=True)) == whole
    ragged = [n + first for n, row in enumerate(own) if len(row) != 2]
    assert [row for fault in table.bad for row in fault.positions] == ragged


def test_bytes_that_are_no_text_make_bad_rows_where_they_are_read(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(b"user,item,title\na,1,\xe4\n\xe4,2,x\nb,3\nc,4,\xef\xbf\xbd\n")
    table = read_raw_table(path, ROLES)
    assert table.columns["user"].to_pylist() == ["a", "c"]
    assert table.rows.tolist() == [2, 5]
    assert [(fault.kind, fault.row) for fault in table.bad] == [
        ("text is not UTF-8", 3),
        ("not the 3 fields of the header", 4),
    ]


def test_a_text_of_a_spreadsheet_is_told_by_its_mark(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes("user,item\na,1\n".encode("utf-16"))
    with pytest.raises(UserError, match=r"log.csv:1: text .* its encoding .utf-16."):
        read_raw_table(path, ROLES)
    assert len(read_raw_table(path, ROLES, TableFormat(encoding="utf-16"))) == 1


def test_separators_of_several_characters(tmp_path):
    path = tmp_path / "ratings.dat"
    path.write_text("1::7::5\n2::8::3\n")
    form = TableFormat({"user": "1", "item": "2"}, "::", header=False)
    table = read_raw_table(path, ROLES, form)
    assert table.columns["item"].to_pylist() == ["7", "8"]
    path.write_text("1::\x1f7::5\n")
    with pytest.raises(UserError, match=r"ratings.dat: the character '\\x1f' stands"):
        read_raw_table(path, ROLES, form)


def test_a_quote_that_is_never_closed_swallows_no_row(tmp_path):
    for row in ('"a,1', 'a,"1', '"a'):
        (tmp_path / "log.csv").write_text(f"user,item\n{row}\nb,2\n")
        with pytest.raises(UserError, match=r"log.csv:2: a quote is never closed"):
            read_raw_table(tmp_path / "log.csv", ROLES)
