from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmgraph.data import read_interactions
from mmgraph.errors import UserError

ROWS = [
    ("ann", "7", "train", "10"),
    ("bob", "9", "valid", "11"),
    ("ann", "9", "2", "5"),
]
HEADER = "user_id,ItemID,split,timestamp"


def _table(name, separator, newline="\n", bom="", header=HEADER):
    lines = [header.split(","), *ROWS]
    text = bom + newline.join(separator.join(line) for line in lines) + newline
    return lambda folder: (folder / name).write_bytes(text.encode()) and folder / name


def _parquet(folder):
    frame = pd.DataFrame(ROWS, columns=["uid", "item", "label", "time"])
    frame = frame.astype({"item": int, "time": int, "uid": "category"})
    frame.to_parquet(folder / "t.parquet")
    return folder / "t.parquet"


@pytest.mark.parametrize(
    "write",
    [
        _table("t.csv", ","),
        _table("t.tsv", "\t"),
        _table("t.csv", ",", newline="\r\n"),
        _table("t.csv", ",", bom="\ufeff"),
        _table("t.tsv", "\t", newline="\r\n", bom="\ufeff"),
        _table("t.csv", ",", newline="\n", header="uid,iid,x_label,date"),
        _parquet,
    ],
)
def test_every_format_gives_the_same_table(tmp_path, write):
    table = read_interactions(write(tmp_path))
    assert table.user.tolist() == ["ann", "bob", "ann"]
    assert table.item.tolist() == [7, 9, 9]
    assert table.label.tolist() == [0, 1, 2]
    assert table.time.tolist() == [10, 11, 5]


def _read(tmp_path, text, name="t.csv", **options):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_interactions(path, **options)


def test_trailing_blank_lines_and_quotes_are_fine(tmp_path):
    table = _read(tmp_path, 'item,note,user\n1,"a, b",x\n2,c,y\n\n\n')
    assert table.user.tolist() == ["x", "y"]
    assert table.label is None
    assert table.time is None


@pytest.mark.parametrize(
    ("ids", "kind"),
    [("7 12 -3", "i"), ("7 012", "U"), ("7 99999999999999999999", "U"), ("7 NA", "U")],
)
def test_ids_keep_their_spelling(tmp_path, ids, kind):
    table = _read(tmp_path, "user,item\n" + "".join(f"u,{i}\n" for i in ids.split()))
    assert table.item.dtype.kind == kind
    assert table.item.astype(str).tolist() == ids.split()


def test_dates_become_nanoseconds(tmp_path):
    text = "user,item,date\nu,1,2024-05-01\nu,2,2024-05-01T00:00:01Z\n"
    expected = pd.Timestamp("2024-05-01").value
    assert _read(tmp_path, text).time.tolist() == [expected, expected + 10**9]


@pytest.mark.parametrize(("duplicates", "times"), [("first", [1, 2]), ("last", [2, 3])])
def test_duplicates_can_be_resolved(tmp_path, duplicates, times):
    text = "user,item,time\nu,1,1\nu,2,2\nu,1,3\n"
    table = _read(tmp_path, text, duplicates=duplicates)
    assert table.time.tolist() == times
    assert table.row.tolist() == [1 + time for time in times]


@pytest.mark.parametrize(
    ("text", "row", "message"),
    [
        ("", None, "the file is empty"),
        ("user,item\n", None, "holds no rows"),
        ("user,thing\nu,1\n", 1, "no item column among 'user', 'thing' - name it one"),
        ("user,uid,item\nu,u,1\n", 1, "several user columns: user, uid"),
        ("user,item\nu,1\nu\n", 3, "1 fields where the header has 2"),
        ("user,item\nu,1\nu,2,3\n", 3, "3 fields where the header has 2"),
        ("user,item\nu,1\n\nu,2\n", 3, "(empty user id|1 fields)"),
        ("user,item\nu,1\n,2\n", 3, "empty user id"),
        ("user,item,split\nu,1,0\nu,2,3\n", 3, "split label '3' - write 0 .train."),
        ("user,item,split\nu,1,0\nu,2,\n", 3, "split label ''"),
        ("user,item,time\nu,1,5\nu,2,soon\n", 3, "timestamp 'soon' is no number"),
        ("user,item,time\nu,1,2024-01-01\nu,2,5x\n", 3, "timestamp '5x' is no"),
        ("user,item,time\nu,1,5\nu,2,inf\n", 3, "timestamp is not finite"),
        ("user,item\nu,1\nv,1\nu,1\n", 4, r"'u' and item 1 occur twice .rows 2 and 4"),
        (
            "user,item,split\nu,1,0\nv,1,0\nu,1,2\n",
            4,
            r"'u' and item 1 stand in two splits .rows 2 and 4",
        ),
        (b"user,item\nu,\xff\xfe\n", 2, "text is not UTF-8"),
        ("user,item\nu,1\n".encode("utf-16"), 1, "text is not UTF-8 - save it as U"),
        ("user,item\nu,1\n".encode("utf-16-le"), 1, "text is not UTF-8"),
    ],
)
def test_bad_tables_are_named_with_their_row(tmp_path, text, row, message):
    with pytest.raises(UserError, match=message) as caught:
        _read(tmp_path, text)
    place = f"{tmp_path / 't.csv'}:" + (f"{row}: " if row else "")
    assert str(caught.value).startswith(place)


def test_a_missing_value_in_parquet_is_named(tmp_path):
    frame = pd.DataFrame({"user": ["u", None], "item": [1, 2]})
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(UserError, match=r"t.parquet:2: no user"):
        read_interactions(tmp_path / "t.parquet")


def test_damaged_parquet_and_other_formats_are_refused(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match="damaged parquet file"):
        read_interactions(tmp_path / "t.parquet")
    with pytest.raises(UserError, match=r"unknown table format '.json'"):
        read_interactions(tmp_path / "t.json")
    with pytest.raises(
        UserError, match="duplicates is 'any' - write error, first, last"
    ):
        read_interactions(tmp_path / "t.csv", duplicates="any")


def test_float_ids_are_refused(tmp_path):
    pd.DataFrame({"user": [0.5], "item": [1]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(UserError, match="user ids are double - write integers"):
        read_interactions(tmp_path / "t.parquet")


def test_the_order_of_the_file_is_kept(tmp_path):
    rng = np.random.default_rng(0)
    user, item = rng.permutation(500), rng.permutation(500)
    text = "user,item\n" + "".join(
        f"{u},{i}\n" for u, i in zip(user, item, strict=True)
    )
    table = _read(tmp_path, text)
    assert table.user.tolist() == user.tolist()
    assert table.item.tolist() == item.tolist()


def test_lines_that_end_in_cr_alone_are_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"t.csv:1: lines end in CR alone - save it wit"
    ):
        _read(tmp_path, "user,item\ru,1\ru,2\r")


def test_a_label_of_clicks_is_not_judged_where_it_is_not_the_split(tmp_path):
    text = "user,item,label\nu,1,5\nu,2,0\n"
    assert _read(tmp_path, text, labels=False).label is None
    with pytest.raises(UserError, match=r"t.csv:2: split label '5' .* another split"):
        _read(tmp_path, text)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[1], [2]]), "column 'user' holds lists - give one user per row"),
        (pa.array([["a"], ["b"]]), "column 'user' holds list<element: string> - write"),
        (pa.array([{"a": 1}] * 2), "column 'user' holds struct<a: int64> - write numb"),
        (pa.array([b"a", b"b"]), "column 'user' holds binary - write numbers or strin"),
    ],
)
def test_nested_and_binary_columns_are_named(tmp_path, column, message):
    pq.write_table(pa.table({"user": column, "item": [1, 2]}), tmp_path / "t.parquet")
    with pytest.raises(UserError, match=message):
        read_interactions(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    "rows",
    ['u,1,"torn', 'u,"1,x', 'u,1,"torn\nv,2,y\nw,3,z', '"u,1,x\nv,2,y'],
)
def test_a_quote_that_is_never_closed_swallows_no_rows(tmp_path, rows):
    with pytest.raises(UserError, match=r"t.csv:2: (a quote is never closed|\d field)"):
        _read(tmp_path, f"user,item,note\n{rows}\n")


def test_what_else_is_wrong_is_refused_where_times_are_not_asked(tmp_path):
    path = tmp_path / "t.parquet"
    time = pa.array([1, 2], pa.duration("s"))
    pq.write_table(pa.table({"user": ["a", "a"], "item": [1, 1], "time": time}), path)
    with pytest.raises(UserError, match=r"t.parquet: times are duration\[s\], not"):
        read_interactions(path)
    with pytest.raises(UserError, match=r"t.parquet:2: .* occur twice"):
        read_interactions(path, times=False)
    table = read_interactions(path, times=False, duplicates="last")
    assert table.time is None
    assert table.row.tolist() == [2]


@pytest.mark.parametrize("row_group_size", [2, 10])
def test_categories_of_a_file_are_the_ids_that_occur_each_once(
    tmp_path, row_group_size
):
    categories = ["z", "unused", "a", "z", "7"]  # one for nothing, one twice
    user = pa.DictionaryArray.from_arrays([0, 2, 3, 4, 0], categories)
    item = pa.DictionaryArray.from_arrays([0, 1, 1, 0, 2], ["3", "1", "2"])
    path = tmp_path / "t.parquet"
    pq.write_table(
        pa.table({"user": user, "item": item}), path, row_group_size=row_group_size
    )
    table = read_interactions(path)
    assert table.user_codes.names.tolist() == ["7", "a", "z"]
    assert table.user.tolist() == ["z", "a", "z", "7", "z"]
    assert table.item_codes.names.tolist() == [1, 2, 3]
    assert table.item.tolist() == [3, 1, 1, 3, 2]


@pytest.mark.parametrize("categories", [["a", "b"], ["a", "b", ""], ["", "b", "a"]])
def test_an_empty_id_is_refused_where_a_row_has_it(tmp_path, categories):
    path = tmp_path / "t.parquet"
    user = pa.DictionaryArray.from_arrays([1, 0], categories)
    pq.write_table(pa.table({"user": user, "item": [1, 2]}), path)
    if categories[0]:
        assert read_interactions(path).user.tolist() == ["b", "a"]
    else:
        with pytest.raises(UserError, match=r"t.parquet:2: empty user id"):
            read_interactions(path)
