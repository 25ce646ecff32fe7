from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from mmgraph.data import catalogue, feature_rows, read_catalogue
from mmgraph.errors import UserError
from mmgraph.functional.block_sizes import BlockSize
from mmgraph.schema import INTERACTS, modalities


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


def _mmrec(folder, x):
    pairs = [f"0\t{item}\t{item % 3}" for item in range(len(x))]
    lines = "\n".join(["userID\titemID\tx_label", *pairs])
    (folder / "a.inter").write_text(lines)
    np.save(folder / "image_feat.npy", x)
    return folder / "a.inter", {"visual": folder / "image_feat.npy"}


PEAK = """
import sys, torch
from mmgraph.bench.memory import peak_memory, reset_peak_memory
from mmgraph.data import load_dataset
from mmgraph.schema import feature_key, modalities
cpu = torch.device("cpu")
load_dataset(sys.argv[1], features=False)
reset_peak_memory()
before = peak_memory(cpu)
splits = load_dataset(sys.argv[1])
print((peak_memory(cpu) - before) / splits[0]["item"].x_visual.nbytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows the peak")
@pytest.mark.parametrize("dtype", ["f4", "f2", "f8"])
def test_loading_takes_the_memory_of_one_matrix(tmp_path, dtype):
    _mmrec(tmp_path, np.ones((3000, 4096), dtype))  # 47 MiB in float32
    words = [sys.executable, "-c", PEAK, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert 0.9 < float(done.stdout) < 1.5


@pytest.mark.parametrize("dtype", ["f2", ">f4", "f8", "i8", "?"])
def test_a_cast_block_by_block_is_that_of_the_whole(tmp_path, monkeypatch, dtype):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(30, 5)) * 9).astype(dtype)
    size = BlockSize(20, 20)
    monkeypatch.setattr(catalogue, "WORKING_COPY", size)
    monkeypatch.setattr(feature_rows, "WORKING_COPY", size)
    for stored in (x, np.asfortranarray(x)):
        table, files = _mmrec(tmp_path, stored)
        data = read_catalogue(table, files)
        assert np.array_equal(data["item"].x_visual.numpy(), x.astype(np.float32))
    np.savez(tmp_path / "v.npz", features=x[::-1], ids=np.arange(30)[::-1])
    data = read_catalogue(table, {"visual": tmp_path / "v.npz"})
    assert np.array_equal(data["item"].x_visual.numpy(), x.astype(np.float32))


def test_a_value_that_float32_cannot_hold_is_named_by_file_and_row(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(catalogue, "WORKING_COPY", BlockSize(20, 20))
    x = np.ones((30, 5))
    x[17, 2] = 1e300
    table, files = _mmrec(tmp_path, x)
    with pytest.raises(UserError) as error:
        read_catalogue(table, files)
    assert str(error.value).startswith(
        f"{files['visual']}: row 17 (counted from 0) holds NaN or infinity"
    )


def test_what_is_loaded_can_be_changed_and_the_file_stays(tmp_path):
    table, files = _mmrec(tmp_path, np.ones((30, 5), np.float32))
    read_catalogue(table, files)["item"].x_visual.fill_(7)
    assert (np.load(files["visual"]) == 1).all()


def test_without_features_the_items_are_the_same(tmp_path):
    (tmp_path / "t.csv").write_text("user,item\nann,tea\nbob,rum\n")
    ids = np.array(["tea", "ale"])
    np.savez(tmp_path / "a.npz", features=np.eye(2), ids=ids)
    pd.DataFrame({"item_id": ["rum", "gin"], "d": [1.0, 2.0]}).to_parquet(
        tmp_path / "b.parquet"
    )
    files = {"a": tmp_path / "a.npz", "b": tmp_path / "b.parquet"}
    whole = read_catalogue(tmp_path / "t.csv", files)
    bare = read_catalogue(tmp_path / "t.csv", files, items_only=True)
    assert bare["item"].raw_id.tolist() == ["ale", "gin", "rum", "tea"]
    assert bare["item"].raw_id.tolist() == whole["item"].raw_id.tolist()
    assert bare[INTERACTS].edge_index.tolist() == whole[INTERACTS].edge_index.tolist()
    assert modalities(bare) == []
