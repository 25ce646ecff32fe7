from __future__ import annotations

import os

import numpy as np
import pytest

from mmgraph.data import check_finite, read_features
from mmgraph.data.formats import budget
from mmgraph.data.formats.features import read_feature_matrix
from mmgraph.errors import UserError

X = np.arange(6, dtype=np.float16).reshape(3, 2)
IDS = np.array(["b", "a", "c"])


def test_values_become_float32_and_their_own_type_is_named(tmp_path):
    np.savez(tmp_path / "x.npz", features=X, ids=IDS)
    matrix = read_feature_matrix(tmp_path / "x.npz")
    assert (matrix.values.dtype, matrix.dtype) == (np.float32, "float16")
    assert np.array_equal(matrix.values, X)
    assert matrix.ids.tolist() == ["b", "a", "c"]


def test_a_float32_npy_can_stay_on_disk(tmp_path):
    np.save(tmp_path / "x.npy", X.astype(np.float32))
    np.save(tmp_path / "half.npy", X)
    assert isinstance(read_features(tmp_path / "x.npy", mmap=True)[0], np.memmap)
    assert not isinstance(read_features(tmp_path / "x.npy")[0], np.memmap)
    assert not isinstance(read_features(tmp_path / "half.npy", mmap=True)[0], np.memmap)


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
        (
            "x.npz",
            lambda p: np.savez(p, features=X, ids=IDS[:2]),
            "3 feature rows but 2 ids",
        ),
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


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "is a folder, not a file - check the path"),
        (lambda path: path.symlink_to("nowhere"), "is a link to nowhere - check the"),
        (os.mkfifo, "is no file but a pipe or a device - save it first"),
        (lambda path: path.symlink_to("/dev/zero"), "is no file but a pipe or a devi"),
    ],
)
def test_what_only_has_the_name_of_a_file_is_refused(tmp_path, make, message):
    path = tmp_path / "visual.npy"
    make(path)
    with pytest.raises(UserError, match=message):
        read_features(path)


def test_a_file_of_holes_is_not_copied_into_memory(tmp_path, monkeypatch):
    header = b"{'descr': '<f2', 'fortran_order': False, 'shape': (5000000000, 10), }"
    header = header.ljust(117) + b"\n"
    path = tmp_path / "x.npy"
    start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with path.open("wb") as file:
        file.write(start)
        file.truncate(len(start) + 10**11)
    monkeypatch.setattr(budget, "free_memory", lambda: 10**10)
    with pytest.raises(UserError, match=r"takes 200000000000 bytes of memory, and 100"):
        read_features(path)
