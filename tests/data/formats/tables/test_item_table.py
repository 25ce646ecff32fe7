from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmgraph.data.formats.tables.item_table import LeftOut, read_item_table
from mmgraph.data.formats.tables.table_format import TableFormat
from mmgraph.errors import UserError


def write(tmp_path, text, name="items.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def test_a_messy_table_is_read_by_names_separator_and_encoding(tmp_path):
    text = 'SKU;Naam\r\n007;Thé\r\n7;"a; b"\r\n;nobody\r\n8;  \r\n9;NA\r\n\r\n'
    path = write(tmp_path, text, encoding="latin-1")
    form = TableFormat({"title": "naam", "id": "sku"}, ";", "latin-1")
    table = read_item_table(path, "title", form)
    assert table.ids.tolist() == ["007", "7", "9"]
    assert table.contents == ["Thé", "a; b", "NA"]
    assert table.rows.tolist() == [2, 3, 6]
    assert table.left_out == (
        LeftOut(4, "", "nobody", "no id"),
        LeftOut(5, "8", "  ", "no title"),
    )


def test_a_row_without_a_title_still_says_what_ids_are(tmp_path):
    path = write(tmp_path, "id,title\n7,tea\n007,\n")
    assert read_item_table(path, "title").ids.tolist() == ["7"]
    path = write(tmp_path, "\ufeffid,title\n7,tea\n12,\n")
    assert read_item_table(path, "title").ids.dtype == np.int64


@pytest.mark.parametrize("kind", ["title", "picture"])
@pytest.mark.parametrize("ids", [[3, None, 5], ["x", "y", ""]])
def test_parquet_and_text_are_read_alike(tmp_path, kind, ids):
    contents = ["a", None, " "]
    columns = {"Item_ID": pa.array(ids), "IMAGE": contents, "title": contents}
    pq.write_table(pa.table(columns), tmp_path / "items.parquet")
    rows = [[name or "" for name in map(str, row)] for row in zip(ids, contents)]  # noqa: B905
    rows = [[cell.replace("None", "") for cell in row] for row in rows]
    text = "Item_ID\tIMAGE\ttitle\n" + "\n".join(f"{a}\t{b}\t{b}" for a, b in rows)
    path = write(tmp_path, text, "items.tsv")
    one, other = (read_item_table(p, kind) for p in (tmp_path / "items.parquet", path))
    assert one.ids.tolist() == other.ids.tolist() == ids[:1]
    assert [(each.row + 1, each.reason) for each in one.left_out] == [
        (each.row, each.reason) for each in other.left_out
    ]


def test_one_rule_for_an_id_in_several_rows(tmp_path):
    path = write(tmp_path, "id,title\n1,\n1,first\n2,b\n1,last\n")
    with pytest.raises(UserError) as error:
        read_item_table(path, "title")
    assert str(error.value) == (
        f"{path}:5: item id 1 stands in rows 3 and 5 - keep one of them, or choose "
        "duplicates 'first' or 'last'"
    )
    first = read_item_table(path, "title", duplicates="first")
    last = read_item_table(path, "title", duplicates="last")
    assert (first.ids.tolist(), first.contents) == ([1, 2], ["first", "b"])
    assert first.left_out == (
        LeftOut(2, "1", "", "no title"),
        LeftOut(5, "1", "last", "another row of its id is kept"),
    )
    assert (last.ids.tolist(), last.contents) == ([2, 1], ["b", "last"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,title\n1,a,b\n", "items.csv:2: 3 fields where the header has 2 - mend"),
        ('id,title\n1,"a\n', "items.csv:2: a quote is never closed - mend the row"),
        ("id,title\n", "items.csv: holds no rows - add some below the header"),
        ("id,title\n,a\n", "items.csv: no row has an id - fill the column in"),
        ("id,title\n1,\n", "items.csv: no row has a title - name another column"),
        ("id,x\n1,a\n", "items.csv:1: no title column among 'id', 'x' - name it one "),
        (
            "a,title\n1,a\n",
            "items.csv:1: no id column among 'a', 'title' - name it one",
        ),
        ("id,item,title\n1,2,a\n", "items.csv:1: several id columns: id, item - keep "),
        (
            "id,title\n,a\n1,b\n2\0,c\n",
            "items.csv:4: character NUL in this item id - t",
        ),
    ],
)
def test_what_is_refused_is_one_line(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(UserError) as error:
        read_item_table(path, "title")
    assert str(error.value).replace(f"{tmp_path}/", "").startswith(message)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"columns": {"title": "t"}}, "items.csv:1: no column 't' among 'id', 'title'"),
        ({"encoding": "x"}, "unknown encoding 'x' - write utf-8, "),
    ],
)
def test_a_form_that_does_not_fit_is_refused(tmp_path, form, message):
    path = write(tmp_path, "id,title\n1,a\n")
    with pytest.raises(UserError) as error:
        read_item_table(path, "title", TableFormat(**form))
    assert str(error.value).replace(f"{tmp_path}/", "").startswith(message)
    with pytest.raises(UserError, match="duplicates is 'x' - write error, first, last"):
        read_item_table(path, "title", duplicates="x")


def test_titles_may_have_several_lines_wherever_they_stand(tmp_path):
    title = "a line\nand, after it, another"  # a block of the reader ends in some
    rows = [f'{n},"{title} {n}"' for n in range(60_000)]
    path = write(tmp_path, "\n".join(["id,title", *rows, "", '7777777,"x ""y"" z"']))
    table = read_item_table(path, "title")
    assert table.contents[:-1] == [f"{title} {n}" for n in range(60_000)]
    assert table.contents[-1] == 'x "y" z'
    assert [(each.row, each.reason) for each in table.left_out] == [(60_002, "no id")]
    rows = [f"{n},{title.split()[0]}" for n in range(300_000)]
    path = write(tmp_path, "\n".join(["id,title", '1,"a', *rows]))
    with pytest.raises(UserError, match=r"items.csv: a quote is never closed - mend"):
        read_item_table(path, "title")


def test_separators_of_several_characters_and_recboles_headers(tmp_path):
    path = write(tmp_path, "item_id:token::title:token_seq\n1::a, b\n", "items.txt")
    table = read_item_table(path, "title", TableFormat(separator="::"))
    assert (table.ids.tolist(), table.contents) == ([1], ["a, b"])


@pytest.mark.parametrize("separator", ["\t", "tab", "\\t"])
def test_a_tab_has_three_names(separator, tmp_path):
    path = write(tmp_path, 'id\ttitle\n1\t12" vinyl\n')
    form = TableFormat(separator=separator)
    assert read_item_table(path, "title", form).contents == ['12" vinyl']


def test_other_encodings_and_formats_are_named(tmp_path):
    path = write(tmp_path, "id,title\n1,a\n2,é\n", encoding="latin-1")
    message = r"items.csv:3: text is not UTF-8 - .* choose its encoding .latin-1, "
    with pytest.raises(UserError, match=message):
        read_item_table(path, "title")
    path = write(tmp_path, "id,title,price\n1,a,5\n2,b,5€\n", encoding="cp1252")
    assert read_item_table(path, "title").ids.tolist() == [1, 2]  # not a column of ours
    path = write(tmp_path, "id,title\n1,a\n", "items.dat")
    with pytest.raises(UserError, match=r"unknown table format '.dat' - use one of"):
        read_item_table(path, "title")
    with pytest.raises(UserError, match=r"nowhere.csv: no such file - check the path"):
        read_item_table(tmp_path / "nowhere.csv", "title")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": [1], "title": [5]}, "the column of titles holds int64, no text - name"),
        ({"id": [1.5], "title": ["a"]}, "item ids are double - write integers or"),
        ({"id": pa.array([], pa.int64()), "title": pa.array([], pa.string())}, "holds"),
    ],
)
def test_parquet_of_other_types_is_refused(tmp_path, columns, message):
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(UserError, match=message):
        read_item_table(path, "title")
