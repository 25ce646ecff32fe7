from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from mmgraph.data.formats.feature_formats import READERS, ROWS_READERS
from mmgraph.errors import UserError

X = np.arange(6, dtype=np.float16).reshape(3, 2)
DATES = pd.to_datetime(["2024-05-01"] * 3)
IDS = np.array(["b", "a", "c"])


def _save(path, kind):
    if kind == "npy":
        np.save(path, X)
    elif kind == "npz":
        np.savez(path, embeddings=X, item_id=IDS)
    elif kind == "safetensors":
        save_file({"x": torch.tensor(X), "ids": torch.tensor([5, 3, 4])}, path)
    elif kind == "list.parquet":
        pd.DataFrame({"item_id": IDS, "vector": list(X)}).to_parquet(path)
    elif kind == "columns.parquet":
        pd.DataFrame({"id": IDS, "d0": X[:, 0], "d1": X[:, 1]}).to_parquet(path)
    else:
        frame = pd.DataFrame({"id": IDS, "d0": X[:, 0], "d1": X[:, 1]})
        frame.to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")


@pytest.mark.parametrize(
    ("kind", "ids"),
    [
        ("npy", None),
        ("npz", ["b", "a", "c"]),
        ("safetensors", [5, 3, 4]),
        ("list.parquet", ["b", "a", "c"]),
        ("columns.parquet", ["b", "a", "c"]),
        ("csv", ["b", "a", "c"]),
        ("tsv", ["b", "a", "c"]),
    ],
)
def test_every_format_gives_the_same_rows(tmp_path, kind, ids):
    path = tmp_path / f"visual.{kind}"
    _save(path, kind)
    values, found, dtype = READERS[path.suffix](path)
    assert np.array_equal(values, X)
    assert (found is None and ids is None) or found.tolist() == ids
    assert dtype == "float64" if "sv" in kind else dtype in ("float16", "halffloat")


def test_bfloat16_is_widened_exactly(tmp_path):
    x = torch.randn(4, 3).bfloat16()
    save_file({"features": x}, tmp_path / "a.safetensors")
    values, _, dtype = READERS[".safetensors"](tmp_path / "a.safetensors")
    assert dtype == "bfloat16"
    assert torch.equal(torch.from_numpy(values).bfloat16(), x)


def _npz(**arrays):
    return lambda path: np.savez(path, **arrays)


def _frame(**columns):
    return lambda path: pd.DataFrame(columns).to_parquet(path)


def _twice(path):
    columns = [pa.array([1.0, 2.0])] * 2
    pq.write_table(pa.table(columns, names=["a", "a"]), path)


def test_whole_numbers_and_flags_are_features(tmp_path):
    path = tmp_path / "x.parquet"
    _frame(item_id=[7, 8], count=[4, 5], is_new=[True, False], grid=[0.5, 1.0])(path)
    values, ids, _ = READERS[".parquet"](path)
    assert values.tolist() == [[4, 1, 0.5], [5, 0, 1]]
    assert ids.tolist() == [7, 8]


def test_the_index_of_a_frame_is_no_feature(tmp_path):
    frame = pd.DataFrame({"d": [1.0, 2.0, 3.0, 4.0]}).iloc[[0, 1, 3]]
    frame.to_parquet(tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"'__index_level_0__' .int64. is neither"):
        READERS[".parquet"](tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("x.npz", _npz(a=X, b=X), r"cannot tell the features among .*'a', 'b'"),
        ("x.npz", _npz(features=X, ids=np.eye(3)), "ids must be one-dimensional"),
        ("x.npz", _npz(features=X, ids=np.ones(3)), "item ids are neither"),
        ("x.safetensors", lambda p: p.write_bytes(b"\xff" * 99), "damaged safetensors"),
        ("x.parquet", lambda p: p.write_bytes(b"PAR1" * 9), "damaged parquet"),
        ("x.parquet", _frame(item=IDS, name=IDS), "no features among the columns"),
        ("x.parquet", _frame(item=IDS, id=IDS, d=[1, 2, 3]), "several id columns"),
        ("x.parquet", _frame(v=[[1.0, 2.0], [3.0], [4.0, 5.0]]), "row 1 .* 2 values"),
        ("x.parquet", _frame(sku=IDS, d=[1.0, 2.0, 3.0]), r"'sku' \((large_)?string\)"),
        ("x.parquet", _frame(id=IDS, d=[1, 2, 3], t=DATES), r"'t' \(timestamp\[.s\]\)"),
        ("x.parquet", _frame(price_id=[4, 5], d=[1.0, 2.0]), "name it item_id if it"),
        (
            "x.parquet",
            _frame(n=[4, 5], v=[[1.0], [2.0]]),
            r"column 'n' \(int64\) is ne",
        ),
        ("x.parquet", _frame(id=[4, None], d=[1, 2]), "row 1 .* has no item id - fill"),
        ("x.parquet", _twice, "several columns 'a' - keep one"),
        ("x.parquet", _frame(v=[[1.0], None]), "row 1 .counted from 0. has no vector"),
        ("x.csv", lambda p: p.write_text("sku,d\na,1\n"), "'sku' .string. is neither"),
        ("x.csv", lambda p: p.write_text("id,item,d\n1,2,3\n"), "several id columns"),
        ("x.csv", lambda p: p.write_text("item,name\n1,a\n"), "no features among the"),
    ],
)
def test_bad_files_are_named(tmp_path, name, write, message):
    path = tmp_path / name
    write(path)
    with pytest.raises(UserError, match=message) as caught:
        READERS[path.suffix](path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("kind", ["npz", "safetensors", "columns.parquet", "csv"])
def test_ids_that_are_named_must_be_there(tmp_path, kind):
    path = tmp_path / f"visual.{kind}"
    _save(path, kind)
    with pytest.raises(UserError, match=r"visual.* no ids 'asin' among '.* - name one"):
        READERS[path.suffix](path, "asin")


def test_text_says_of_its_ids_what_a_table_of_interactions_says(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("d,item_id\n1,7\n2,007\n")
    assert READERS[".csv"](path)[1].tolist() == ["7", "007"]
    path.write_text("d,item_id\n1,7\n2,12\n")
    assert READERS[".csv"](path)[1].tolist() == [7, 12]
    path.write_text("d,item_id\n1,7\n\n2,12\n")  # a blank line
    with pytest.raises(UserError, match=r"x.csv:3: empty item id - fill it in"):
        READERS[".csv"](path)


def test_an_array_named_as_the_file_is_chosen_among_others(tmp_path):
    path = tmp_path / "visual.npz"
    np.savez(path, visual=X, other=IDS)
    assert np.array_equal(READERS[".npz"](path)[0], X)


@pytest.mark.parametrize(
    "kind", ["npy", "npz", "safetensors", "list.parquet", "columns.parquet", "csv"]
)
def test_the_rows_of_every_format_are_those_of_its_reader(tmp_path, kind):
    path = tmp_path / f"visual.{kind}"
    _save(path, kind)
    values, ids, _ = READERS[path.suffix](path)
    rows, found = ROWS_READERS[path.suffix](path)
    assert rows == len(values)
    assert (found is None and ids is None) or found.tolist() == ids.tolist()


@pytest.mark.parametrize("suffix", ["npz", "safetensors", "parquet", "csv"])
def test_rows_without_ids_are_counted(tmp_path, suffix):
    path = tmp_path / f"visual.{suffix}"
    if suffix == "npz":
        np.savez(path, X)
    elif suffix == "safetensors":
        save_file({"x": torch.tensor(X)}, path)
    elif suffix == "parquet":
        pd.DataFrame({"d0": X[:, 0], "d1": X[:, 1]}).to_parquet(path)
    else:
        pd.DataFrame({"d0": X[:, 0], "d1": X[:, 1]}).to_csv(path, index=False)
    assert ROWS_READERS[path.suffix](path) == (3, None)
