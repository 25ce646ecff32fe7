from __future__ import annotations

import csv
import io

import pytest

from mmgraph.analysis.report.table import Table, cell_text, sort_value


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (3, 3.0),
        (0.5, 0.5),
        (None, None),
        (float("nan"), None),
        ("", None),
        (".0754", 0.0754),
        ("-.0754 ± .01", -0.0754),
        ("+.0012 (VBPR)", 0.0012),
        ("−3", -3.0),
        ("< .001", 0.001),
        ("19,445", 19445.0),
        ("1.5e-3", 0.0015),
        ("12%", 12.0),
        ("3-gram", None),
        ("2x", None),
        ("VBPR", None),
        ("SEA 2", None),
    ],
)
def test_cells_sort_by_the_number_they_begin_with(cell, value):
    assert sort_value(cell) == value


def test_numbers_are_shown_short_and_kept_in_full():
    assert [cell_text(cell) for cell in (1 / 3, 12345, "x", None)] == [
        "0.3333",
        "12345",
        "x",
        "",
    ]
    assert Table(["a"], [[1 / 3]]).to_csv() == f"a\r\n{1 / 3!r}\r\n"


def test_markdown_keeps_bars_out_of_the_cells():
    table = Table(["a|b", "n"], [["x", 1 / 3], [None, 2]], "A caption")
    assert table.to_markdown() == (
        "A caption\n\n| a|b | n |\n| --- | --- |\n| x | 0.3333 |\n|  | 2 |\n"
    ).replace("a|b", "a\\|b")
    assert Table(["a"], []).to_markdown() == "| a |\n| --- |\n"


def test_rows_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"row 1 of a table of 2 columns has 1 cells"):
        Table(["a", "b"], [[1, 2], [3]])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+x", "'+x"),
        ("-x", "'-x"),
        ("-2+3+cmd", "'-2+3+cmd"),
        ("\tx", "'\tx"),
        ("-2", "-2"),
        ("+0.0123", "+0.0123"),
        ("+0.0123 (VBPR)", "'+0.0123 (VBPR)"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_no_cell_of_a_spreadsheet_is_a_formula(text, expected):
    rows = list(csv.reader(io.StringIO(Table([text], [[text]]).to_csv(), newline="")))
    assert rows == [[expected], [expected]]


def test_markdown_keeps_cells_apart_and_takes_nothing_for_markup():
    text = Table(["a"], [["x|y\\|z\n# h <img src=x> [t](u)"]]).to_markdown()
    assert text.splitlines()[2] == ("| x\\|y\\\\\\|z # h &lt;img src=x> \\[t](u) |")
