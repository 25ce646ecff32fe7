from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from mmgraph.data import check_finite, read_features
from mmgraph.data.features import read_feature_table
from mmgraph.errors import UserError

X = np.arange(6, dtype=np.float16).reshape(3, 2)
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
    else:
        pd.DataFrame({"id": IDS, "d0": X[:, 0], "d1": X[:, 1]}).to_parquet(path)


@pytest.mark.parametrize(
    ("kind", "ids"),
    [
        ("npy", None),
        ("npz", ["b", "a", "c"]),
        ("safetensors", [5, 3, 4]),
        ("list.parquet", ["b", "a", "c"]),
        ("columns.parquet", ["b", "a", "c"]),
    ],
)
def test_every_format_gives_the_same_rows(tmp_path, kind, ids):
    path = tmp_path / f"visual.{kind}"
    _save(path, kind)
    table = read_feature_table(path)
    assert table.values.dtype == np.float32
    assert np.array_equal(table.values, X)
    assert (table.ids is None and ids is None) or table.ids.tolist() == ids
    assert table.dtype in ("float16", "halffloat")


def test_bfloat16_is_widened_exactly(tmp_path):
    x = torch.randn(4, 3).bfloat16()
    save_file({"features": x}, tmp_path / "a.safetensors")
    table = read_feature_table(tmp_path / "a.safetensors")
    assert table.dtype == "bfloat16"
    assert torch.equal(torch.from_numpy(table.values).bfloat16(), x)


def test_a_float32_npy_can_stay_on_disk(tmp_path):
    np.save(tmp_path / "x.npy", X.astype(np.float32))
    np.save(tmp_path / "half.npy", X)
    assert isinstance(read_features(tmp_path / "x.npy", mmap=True)[0], np.memmap)
    assert not isinstance(read_features(tmp_path / "x.npy")[0], np.memmap)
    assert not isinstance(read_features(tmp_path / "half.npy", mmap=True)[0], np.memmap)


def _npz(**arrays):
    return lambda path: np.savez(path, **arrays)


def _frame(**columns):
    return lambda path: pd.DataFrame(columns).to_parquet(path)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("x.txt", lambda p: p.write_text("1"), "unknown feature format '.txt'"),
        ("x.npy", lambda p: None, "no such file"),
        ("x.npy", lambda p: p.touch(), "the file is empty"),
        ("x.npy", lambda p: p.write_text("not numpy"), "not a readable npy"),
        ("x.npy", lambda p: np.save(p, np.zeros(3)), r"shape \[3\], not"),
        ("x.npy", lambda p: np.save(p, np.zeros((3, 0))), r"shape \[3, 0\]"),
        ("x.npy", lambda p: np.save(p, np.zeros((3, 2), complex)), "complex128, not"),
        ("x.npy", lambda p: np.save(p, np.array([["a"]])), "not numbers"),
        ("x.npz", _npz(a=X, b=X), r"cannot tell the features among .*'a', 'b'"),
        ("x.npz", _npz(features=X, ids=IDS[:2]), "3 feature rows but 2 ids"),
        ("x.npz", _npz(features=X, ids=np.eye(3)), "ids must be one-dimensional"),
        ("x.npz", _npz(features=X, ids=np.ones(3)), "item ids are neither"),
        ("x.safetensors", lambda p: p.write_bytes(b"\xff" * 99), "damaged safetensors"),
        ("x.parquet", lambda p: p.write_bytes(b"PAR1" * 9), "damaged parquet"),
        ("x.parquet", _frame(item=IDS, name=IDS), "no features among the columns"),
        ("x.parquet", _frame(item=IDS, id=IDS, d=[1, 2, 3]), "several id columns"),
        ("x.parquet", _frame(v=[[1.0, 2.0], [3.0], [4.0, 5.0]]), "row 1 .* 2 values"),
        ("x.parquet", _frame(v=[[1.0], None]), "row 1 .counted from 0. has no vector"),
    ],
)
def test_bad_files_are_named(tmp_path, name, write, message):
    path = tmp_path / name
    write(path)
    with pytest.raises(UserError, match=message) as caught:
        read_features(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_the_first_row_that_is_not_finite_is_named(tmp_path, value):
    x = np.zeros((70_000, 2))
    x[[69_999, 66_000], 1] = value
    np.save(tmp_path / "x.npy", x)
    values, _ = read_features(tmp_path / "x.npy")  # 1e39 overflows float32
    with pytest.raises(UserError, match=r"x.npy: row 66000 .counted from 0. holds NaN"):
        check_finite(values, tmp_path / "x.npy")
