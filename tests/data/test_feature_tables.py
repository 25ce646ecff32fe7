from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from mmgraph.data import open_features
from mmgraph.data.feature_tables import (
    as_tensor,
    modality_names,
    read_tables,
    spread,
)
from mmgraph.errors import UserError
from mmgraph.knn import knn_graph


def test_files_are_called_as_their_modality():
    paths = [Path(f"d/{name}") for name in ("text_feat.npy", "depth_feat.npz")]
    paths += [Path("image.parquet"), Path("e.v2.npy")]
    assert list(modality_names(paths)) == ["textual", "depth", "image", "e.v2"]
    both = [Path("image_feat.npy"), Path("visual.npz")]
    with pytest.raises(UserError, match=r"visual\.npz: image_feat\.npy and this file "):
        modality_names(both)


def test_rows_are_spread_as_a_loop_over_the_ids_does(x):
    rng = np.random.default_rng(1)
    ids = [f"i{n}" for n in rng.permutation(80)]
    own = [ids[n] for n in rng.permutation(80)[:60]]
    want = [
        x[own.index(key)].tolist() if key in own else [0.0] * 8  # first of its name
        for key in ids
    ]
    assert spread(x, own, ids).tolist() == want


def test_files_with_ids_meet_over_all_their_ids(tmp_path, knn, x):
    """Rows in another order, and items that one file lacks."""
    ids = np.array([f"i{n:02d}" for n in range(60)])
    np.savez(tmp_path / "a.npz", features=x[:50], ids=ids[:50])
    np.savez(tmp_path / "b.npz", features=x[:9:-1], ids=ids[:9:-1])
    files = {name: tmp_path / f"{name}.npz" for name in ("a", "b")}
    order = [*range(50), *range(59, 49, -1)]  # as the ids first appear
    padded = {"a": x[order].copy(), "b": x[order].copy()}
    padded["a"][50:] = 0
    padded["b"][:10] = 0
    read = read_tables(files)
    assert (read.ids, read.missing) == (ids[order].tolist(), {"a": 10, "b": 10})
    knn("build", *files.values(), "--k", 4, "--out", tmp_path / "g.pt")
    graph = torch.load(tmp_path / "g.pt", weights_only=True)
    for name, table in padded.items():
        np.testing.assert_array_equal(read.tables[name], table)
        edge_index, _ = knn_graph(torch.from_numpy(table), 4)
        store = graph["item", f"similar_{name}", "item"]
        assert torch.equal(store["edge_index"], edge_index)
    assert graph["item"]["num_nodes"] == 60


def test_integer_ids_are_rows_of_the_files_without(tmp_path, knn, x):
    """As in a data folder: row = item id, and an item may be missing."""
    order = np.random.default_rng(1).permutation(60)[:50]
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "b.npz", features=x[order], ids=order)
    files = {"a": tmp_path / "a.npy", "b": tmp_path / "b.npz"}
    read = read_tables(files)
    assert (read.ids, read.missing) == (list(range(60)), {"a": 0, "b": 10})
    for name, rows in open_features(tmp_path).items():
        np.testing.assert_array_equal(read.tables[name], rows.read(0, 60))
    assert read_tables({"a": tmp_path / "a.npy"}).ids is None
    graph = tmp_path / "g.pt"
    knn("build", *files.values(), "--k", 4, "--out", graph)
    words = [word for path in files.values() for word in ("--features", path)]
    assert knn("verify", graph, *words, "--rows", 0)["graphs"]["b"]["wrong_rows"] == 0


def test_tables_that_do_not_go_together_are_refused(tmp_path, x):
    np.savez(tmp_path / "a.npz", features=x, ids=np.arange(60))
    np.savez(tmp_path / "twice.npz", features=x, ids=np.arange(60) % 58)
    np.savez(tmp_path / "text.npz", features=x, ids=np.arange(60).astype(str))
    np.save(tmp_path / "b.npy", x)
    np.save(tmp_path / "short.npy", x[:5])
    cases = [
        (["b.npy", "short.npy"], r"short\.npy: 5 rows, but b\.npy has 60 - "),
        (["a.npz", "short.npy"], r"a\.npz: item id 5 at row 5 .* no row number of sh"),
        (["b.npy", "text.npz"], r"text\.npz: item id '0' at row 0 .* of b\.npy, which"),
        (["a.npz", "text.npz"], r"text\.npz: .* strings, those of a\.npz are integers"),
        (["twice.npz"], r"twice\.npz: item id 0 stands at rows 0 and 58 .* keep one r"),
        (["b.npy", "twice.npz"], r"twice\.npz: item id 0 stands at rows 0 and 58"),
    ]
    for names, message in cases:
        with pytest.raises(UserError, match=message):
            read_tables({name: tmp_path / name for name in names})


def test_a_row_that_is_refused_is_named_wherever_it_is(tmp_path):
    x = np.ones((70_000, 1), dtype=np.float32)
    x[69_123], x[69_500] = 0, np.nan
    np.save(tmp_path / "x.npy", x)
    names = {"x": tmp_path / "x.npy"}
    with pytest.raises(UserError, match=r"x\.npy: row 69500 .* holds NaN"):
        read_tables(names)
    with pytest.raises(UserError, match=r"row 69123 .* is zero - leave the row out"):
        read_tables(names, refuse_nan=False, refuse_zero=True)
    read = read_tables(names, refuse_nan=False)
    np.testing.assert_array_equal(read.tables["x"], x)


def test_a_table_on_disk_becomes_a_tensor_without_a_copy_or_a_warning(tmp_path, x):
    np.save(tmp_path / "x.npy", x)
    table = read_tables({"x": tmp_path / "x.npy"}).tables["x"]
    assert isinstance(table, np.memmap)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = as_tensor(table)
    assert tensor.data_ptr() == table.ctypes.data
    np.testing.assert_array_equal(tensor, x)
