from __future__ import annotations

from pathlib import Path

import pytest

from mmgraph.data.formats.tables.table_format import TableFormat, find_columns, untyped
from mmgraph.errors import UserError

PATH = Path("log.csv")
ROLES = ["user", "item", "split", "time"]


@pytest.mark.parametrize(
    ("header", "named", "expected"),
    [
        ("uid ItemID", {}, {"user": "uid", "item": "ItemID"}),
        ("uid sku iid", {"item": "SKU"}, {"user": "uid", "item": "sku"}),
        ("User user iid", {"user": "user"}, {"user": "user", "item": "iid"}),
        ("uid iid label", {"rating": "label"}, {"user": "uid", "item": "iid"}),
        (
            "user_id:token item_id:token label:float",
            {},
            {"user": "user_id:token", "item": "item_id:token"},
        ),
        (
            "who:token item_id:token",
            {"user": "who"},
            {"user": "who:token", "item": "item_id:token"},
        ),
        (
            "who:token item_id:token",
            {"user": "who:token"},
            {"user": "who:token", "item": "item_id:token"},
        ),
        (
            "user item split date",
            {},
            {"user": "user", "item": "item", "split": "split", "time": "date"},
        ),
    ],
)
def test_columns_are_found_by_name(header, named, expected):
    assert find_columns(header.split(), ROLES, PATH, named) == expected


def test_one_name_without_a_type_makes_a_plain_header():
    assert untyped(["user_id:token", "item"]) is None
    assert untyped(["user_id:token", "v:float_seq"]) == ["user_id", "v"]


@pytest.mark.parametrize(
    ("header", "named", "message"),
    [
        (
            ["user;item"],
            {},
            "no user column among 'user;item' - choose the separator",
        ),
        (
            ["a", "b"],
            {},
            "no user column among 'a', 'b' - name it one of user, ",
        ),
        ([], {}, "no user column among  - name it one of"),
        (["user", "b"], {"item": "c"}, "no column 'c' among 'user', 'b' - name one of"),
        (["user", "uid", "item"], {}, "several user columns: user, uid - keep one"),
        (
            ["a"],
            {"user": "a", "item": "A"},
            "one column for two roles: 'a', 'a' - ",
        ),
    ],
)
def test_headers_that_do_not_say_it_are_refused(header, named, message):
    with pytest.raises(UserError, match=f"^log.csv:1: {message}"):
        find_columns(header, ROLES, PATH, named)


@pytest.mark.parametrize("separator", ["", "\n", '"', "a\0"])
def test_what_cannot_separate_is_refused(separator):
    with pytest.raises(UserError, match=r"cannot separate columns - write the char"):
        TableFormat(separator=separator)


def test_the_suffix_says_the_separator():
    assert TableFormat().separator_of(Path("a.INTER")) == "\t"
    assert TableFormat(separator="|").separator_of(Path("a.txt")) == "|"
    with pytest.raises(UserError, match=r"a.txt: unknown table format '.txt' - "):
        TableFormat().separator_of(Path("a.txt"))
    for separator in (None, ","):
        form = TableFormat(separator=separator)
        with pytest.raises(UserError, match=r"a.csv.gz: .gz holds no .* - unpack it"):
            form.separator_of(Path("a.csv.gz"))
        with pytest.raises(UserError, match=r"a.XLSX: .xlsx holds no .* - save it as"):
            form.separator_of(Path("a.XLSX"))
