from __future__ import annotations

import pandas as pd
import pytest

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


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.csv",
            "item,title\n1,a\n",
            r"a.csv: no column 'item_id' \(got item, title\)",
        ),
        ("a.csv", "item_id,title\n1,a\n2,b\n1,c\n", "a.csv:4: item '1' has two titles"),
        ("a.csv", "", "a.csv: cannot be read"),
        ("a.parquet", "PAR1", "a.parquet: cannot be read"),
        ("a.txt", "x", r"a.txt: not a table \(.txt\)"),
        ("b.csv", None, "b.csv: no such file"),
    ],
)
def test_what_is_no_table_of_titles_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        read_titles(tmp_path / name)
