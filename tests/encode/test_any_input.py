"""Any bytes as a table, a picture or a model end in a result or in one line."""

from __future__ import annotations

import contextlib
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmgraph.data.formats.interactions import DUPLICATES
from mmgraph.data.formats.tables.item_table import read_item_table
from mmgraph.data.formats.tables.table_format import TableFormat
from mmgraph.encode.picture import PictureError, open_picture
from mmgraph.errors import UserError

EXAMPLES = int(os.environ.get("MMGRAPH_EXAMPLES", "0"))
MANY = settings(
    max_examples=EXAMPLES or 25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
CELLS = st.text(max_size=4) | st.sampled_from(["", "7", "007", '"', "a;b", "\n", "é"])
ROWS = st.lists(st.lists(CELLS, min_size=1, max_size=3).map(";".join)).map("\n".join)
FORMS = st.fixed_dictionaries(
    {
        "columns": st.dictionaries(st.sampled_from(["id", "title"]), CELLS),
        "separator": st.none() | st.sampled_from([";", "tab", "", "::", '"']),
        "encoding": st.sampled_from(
            ["utf-8", "latin-1", "utf-16", "idna", "rot13", "x"]
        ),
        "header": st.booleans(),
    }
)


def check(path, form, duplicates="error"):
    table = None
    with contextlib.suppress(UserError):
        table = read_item_table(
            path, "title", TableFormat(**form), duplicates=duplicates
        )
    if table is None:
        return
    assert len(table.ids) == len(table.contents) == len(table.rows) > 0
    assert len(set(table.ids.tolist())) == len(table.ids)
    assert all(text.strip() for text in table.contents)
    assert not {each.row for each in table.left_out} & set(table.rows.tolist())


@MANY
@given(
    head=st.sampled_from(["id;title\n", "", "\ufeffid;title\n"]),
    rows=ROWS,
    form=FORMS,
    duplicates=st.sampled_from(DUPLICATES),
)
def test_any_text_as_a_table(head, rows, form, duplicates, tmp_path):
    path = tmp_path / "items.csv"
    path.write_bytes((head + rows).encode("utf-8", "surrogatepass"))
    check(path, form, duplicates)


@MANY
@given(content=st.binary(max_size=60), suffix=st.sampled_from([".csv", ".parquet"]))
def test_any_bytes_as_a_table(content, suffix, tmp_path):
    path = tmp_path / f"items{suffix}"
    path.write_bytes(content)
    check(path, {"columns": {"title": "a", "id": "b"}})


@MANY
@given(
    ids=st.lists(
        st.none() | st.integers(0, 2**64 - 1) | st.floats() | st.text(), max_size=4
    ),
    title=st.none() | st.integers() | CELLS,
)
def test_any_columns_of_parquet(ids, title, tmp_path):
    path = tmp_path / "items.parquet"
    try:
        columns = {"id": pa.array(ids), "title": pa.array([title] * len(ids))}
        pq.write_table(pa.table(columns), path)
    except (pa.ArrowException, UnicodeError, OverflowError):
        return
    check(path, {}, "last")


@MANY
@given(place=st.integers(0, 10**6), bits=st.integers(1, 255), name=st.integers(0, 5))
def test_any_damage_of_a_picture(place, bits, name, pictures, tmp_path):
    whole = bytearray(sorted(pictures.iterdir())[name].read_bytes())
    whole[place % len(whole)] ^= bits
    path = tmp_path / "damaged"
    path.write_bytes(whole)
    try:
        size = np.asarray(open_picture(path)).ndim
    except PictureError:
        return
    assert size == 3
