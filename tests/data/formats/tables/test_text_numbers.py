from __future__ import annotations

from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmgraph.data.formats.features import read_feature_matrix
from mmgraph.data.formats.tables.text_numbers import read_text_numbers
from mmgraph.data.importing.id_columns import find_id_columns
from mmgraph.errors import UserError

NUMBERS = st.floats(width=32) | st.integers(-(10**6), 10**6)


def write(folder, text, name="visual.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


@given(
    rows=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=9),
    separator=st.sampled_from([",", ";", "\t", "|"]),
)
def test_numbers_are_those_that_pandas_wrote(tmp_path_factory, rows, separator):
    path = tmp_path_factory.getbasetemp() / "written.csv"
    frame = pd.DataFrame(rows, columns=["f0", "f1"])
    frame.insert(0, "sku", [f"00{n}" for n in range(len(rows))])
    frame.to_csv(path, sep=separator, index=False)
    columns = read_text_numbers(path)
    assert columns.texts["sku"].to_pylist() == frame["sku"].tolist()
    for name, own in columns.numbers.items():
        if name != "sku":
            assert np.array_equal(own, frame[name].astype(float), equal_nan=True)


def test_types_are_those_of_a_parquet_file(tmp_path):
    text = "a,b,c,d,e\n1,0.5,x,,-7.5\n2, +1e3,y,,12\n3,nan,z,,\n"
    columns = read_text_numbers(write(tmp_path, text))
    assert [str(kind) for kind in columns.schema.types] == [
        *("int64", "double", "string", "string", "double")
    ]
    assert columns.numbers["b"].tolist()[:2] == [0.5, 1000.0]
    assert np.isnan(columns.numbers["b"][2])
    assert np.isnan(columns.numbers["e"][2])
    path = write(tmp_path, "sku,year\n007,2024\n12,1999\n")
    assert read_text_numbers(path).texts["sku"].to_pylist() == ["007", "12"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.5,1\n2,3\n", "visual.csv:1: the first row holds numbers - add a header: i"),
        (
            "id,f\na,1,2\n",
            "visual.csv:2: 3 fields where the header has 2 - mend",
        ),
        ("id,f,f\na,1,2\n", "visual.csv:1: several columns 'f' - keep one"),
        ("id,f\n", "visual.csv: holds no rows - add some below the header"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused(tmp_path, text, message):
    with pytest.raises(UserError) as error:
        read_text_numbers(write(tmp_path, text))
    assert str(error.value).replace(f"{tmp_path}/", "").startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,f\na,1\nb,n/a\nc,2\n", "visual.csv:3: 'n/a' in column 'f' is no number"),
        ("id;f\na;0,5\nb;1,000,0\nc;2\n", "visual.csv:3: '1,000,0' in column 'f'"),
    ],
)
@pytest.mark.parametrize("named", [None, "id"])
def test_a_cell_that_is_no_number_is_named(tmp_path, text, message, named):
    path = write(tmp_path, text)
    with pytest.raises(UserError) as error:
        read_feature_matrix(path, id_column=named)
    assert str(error.value).replace(f"{tmp_path}/", "").startswith(message)


@pytest.mark.parametrize("name", ["item_id", "sku"])
def test_ids_are_nearly_numbers_without_fault(tmp_path, name):
    path = write(tmp_path, f"{name},f\n1,0.5\n2,1\nA3,\n")
    matrix = read_feature_matrix(path, id_column=None if name == "item_id" else name)
    assert matrix.ids.tolist() == ["1", "2", "A3"]
    assert matrix.values[:2, 0].tolist() == [0.5, 1.0]
    assert find_id_columns({"visual": path}, np.array(["1", "A3"])) == (
        {} if name == "item_id" else {"visual": "sku"}
    )


@given(
    head=st.sampled_from(["", "id,f\n", "\ufeffid;f;g\n", "f\tg\n"]),
    body=st.text('id,;|\t"0.5-+ena\n\r \0é', max_size=40),
    suffix=st.sampled_from([".csv", ".tsv"]),
    named=st.sampled_from([None, "id", "f"]),
)
def test_any_text_ends_in_features_or_in_one_line(
    tmp_path_factory, head, body, suffix, named
):
    folder = tmp_path_factory.getbasetemp()
    path = write(folder, head + body, f"any{suffix}")
    matrix = None
    with suppress(UserError):
        matrix = read_feature_matrix(path, id_column=named)
    if matrix is not None:
        assert matrix.values.ndim == 2
        assert matrix.ids is None or len(matrix.ids) == len(matrix.values)
