from __future__ import annotations

import numpy as np
import pytest

from mmgraph.data import import_dataset
from mmgraph.data.importing.features import read_import_features
from mmgraph.errors import UserError

IDS = np.array(["a", "b", "a", "c", "b", "d"])
X = np.array([[1.0], [np.nan], [3.0], [4.0], [5.0], [1e300]])


@np.errstate(over="ignore")
def slow(ids, values):
    """The first finite row of each item."""
    kept = {}
    for name, value in zip(ids.tolist(), values[:, 0].tolist(), strict=True):
        if np.isfinite(np.float32(value)):
            kept.setdefault(name, value)
    return kept


def test_bad_rows_of_features_are_left_out_and_counted(tmp_path):
    np.savez(tmp_path / "visual.npz", features=X, sku=IDS)
    matrix, left = read_import_features(tmp_path / "visual.npz", "sku", drop=True)
    pairs = zip(matrix.ids.tolist(), matrix.values[:, 0].tolist(), strict=True)
    assert dict(pairs) == slow(IDS, X)
    assert [(each.kind, each.rows, each.first_row) for each in left] == [
        ("NaN or infinity", 2, 1),
        ("item that has a row before", 1, 2),
    ]


def test_without_drop_they_are_refused_as_everywhere(tmp_path):
    path = tmp_path / "visual.npz"
    np.savez(path, features=X, ids=IDS)
    with pytest.raises(
        UserError, match=r"visual.npz: row 1 .counted from 0. holds NaN"
    ):
        read_import_features(path)
    (tmp_path / "log.csv").write_text("user,item\nu,a\nu,b\n")
    np.savez(path, features=np.ones((6, 1)), ids=IDS)
    with pytest.raises(UserError, match=r"item id 'a' stands at rows 0 and 2"):
        import_dataset(tmp_path / "log.csv", {"visual": path}, split="none")


def test_an_item_whose_row_is_left_out_is_missing(tmp_path, caplog):
    (tmp_path / "log.csv").write_text("user,item\nu,0\nu,1\nu,2\n")
    np.save(tmp_path / "visual.npy", np.array([[1.0], [np.inf], [3.0], [4.0]]))
    files = {"visual": tmp_path / "visual.npy"}
    (train, *_), report = import_dataset(
        tmp_path / "log.csv", files, bad_rows="drop", split="none"
    )
    assert train["item"].raw_id.tolist() == [0, 1, 2, 3]
    assert train["item"].mask_visual.tolist() == [True, False, True, True]
    assert train["item"].x_visual[:, 0].tolist() == [1, 0, 3, 4]
    left = [
        {"kind": "NaN or infinity", "rows": 1, "first_row": 1, "file": "visual.npy"}
    ]
    assert report.features["visual"]["left"] == left
    assert "visual.npy: 1 of" in caplog.text
