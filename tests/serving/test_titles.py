from __future__ import annotations

import pandas as pd
import pytest

from mmgraph.data.formats.tables.table_format import TableFormat
from mmgraph.errors import UserError
from mmgraph.serving.titles import read_titles


def test_titles_of_both_kinds_of_table(tmp_path):
    (tmp_path / "a.csv").write_text(
        'item_id,title,x\n007,NA,1\n8,"a, b",2\n9,,3\n', "utf-8"
    )
    assert read_titles(tmp_path / "a.csv") == {"007": "NA", "8": "a, b"}
    pd.DataFrame({"item_id": [7, 8], "title": ["a", None]}).to_parquet(
        tmp_path / "a.parquet"
    )
    assert read_titles(tmp_path / "a.parquet") == {"7": "a"}


def test_a_shops_catalogue_is_read_as_features_text_reads_it(tmp_path):
    text = "SKU;nom;prix\n00;Thé;1\n;personne;2\n7;Café;3 €\n7;Café n° 2;4\n"
    (tmp_path / "a.txt").write_bytes(text.encode("cp1252"))
    form = TableFormat({"id": "sku", "title": "nom"}, ";", "cp1252")
    with pytest.raises(UserError, match=r"a.txt:5: item id '7' stands in rows 4 and 5"):
        read_titles(tmp_path / "a.txt", form)
    titles = read_titles(tmp_path / "a.txt", form, duplicates="last")
    assert titles == {"00": "Thé", "7": "Café n° 2"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "sku,title\n1,a\n", r"a.csv:1: no id column among 'sku', 'title' - "),
        ("a.csv", "item_id,title\n1,a\n2,b\n1,c\n", "a.csv:4: item id 1 stands in row"),
        ("a.csv", "", "a.csv: the file is empty"),
        ("a.csv", "item_id,title\n1,\n", "a.csv: no row has a title"),
        ("a.parquet", "PAR1", "a.parquet: damaged parquet file"),
        ("a.txt", "x", r"a.txt: unknown table format '.txt' - use one of .*, .csv, "),
        ("b.csv", None, "b.csv: no such file"),
    ],
)
def test_what_is_no_table_of_titles_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        read_titles(tmp_path / name)
