from __future__ import annotations

import numpy as np
import pytest

from mmgraph.data import read_catalogue
from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS


def test_items_without_interactions_come_from_the_rows(tmp_path):
    (tmp_path / "t.csv").write_text("user,item,time\n5,2,9\n3,0,8\n")
    np.save(tmp_path / "x.npy", np.eye(4, dtype=np.float16))
    data = read_catalogue(tmp_path / "t.csv", {"visual": tmp_path / "x.npy"})
    assert data["item"].raw_id.tolist() == [0, 1, 2, 3]
    assert data["user"].raw_id.tolist() == [3, 5]
    assert data[INTERACTS].edge_index.tolist() == [[1, 0], [2, 0]]
    assert data[INTERACTS].time.tolist() == [9, 8]
    assert data.stored_dtype == {"visual": "float16"}


def test_integer_and_string_ids_meet(tmp_path):
    (tmp_path / "t.csv").write_text("user,item\nu,12\nu,3\n")
    np.savez(tmp_path / "x.npz", features=np.eye(3), ids=np.array(["3", "x", "12"]))
    data = read_catalogue(tmp_path / "t.csv", {"visual": tmp_path / "x.npz"})
    assert data["item"].raw_id.tolist() == ["12", "3", "x"]
    assert data["item"].x_visual.argmax(1).tolist() == [2, 0, 1]


def test_features_of_other_items_are_refused(tmp_path):
    (tmp_path / "t.csv").write_text("user,item\nu,a1\nu,a2\n")
    files = {"visual": tmp_path / "x.npz"}
    np.savez(files["visual"], features=np.eye(2), ids=np.array(["A1", "A2"]))
    message = (
        r"x\.npz: not one of its items is in t\.csv: .* 'A1', the first .* 'a1' - "
    )
    with pytest.raises(UserError, match=message):
        read_catalogue(tmp_path / "t.csv", files)
    np.savez(files["visual"], features=np.eye(2), ids=np.array(["A1", "a2"]))
    data = read_catalogue(tmp_path / "t.csv", files)
    assert data["item"].mask_visual.tolist() == [True, False, True]
