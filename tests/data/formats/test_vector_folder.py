from __future__ import annotations

import numpy as np
import pytest

from mmgraph.data.formats.vector_folder import read_vector_folder
from mmgraph.errors import UserError


@pytest.mark.parametrize("names", [["10", "9", "2"], ["b", "a", "007"]])
def test_rows_are_the_files_and_ids_their_names(tmp_path, names):
    for number, name in enumerate(names):
        np.save(tmp_path / f"{name}.npy", np.full((1, 3), number, dtype=np.float32))
    (tmp_path / "._b.npy").touch()
    (tmp_path / "notes.txt").touch()
    matrix = read_vector_folder(tmp_path)
    values = dict(zip(map(str, matrix.ids.tolist()), matrix.values[:, 0], strict=True))
    assert values == {name: number for number, name in enumerate(names)}
    assert matrix.ids.dtype.kind == ("i" if names[0] == "10" else "U")
    assert matrix.dtype == "float32"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones(4), "b.npy: 4 dimensions, but a.npy has 3 - give vectors of one enc"),
        (np.ones((2, 2)), r"b.npy: an array of shape \[2, 2\], no vector - save one v"),
        (np.ones(0), r"b.npy: an array of shape \[0\], no vector"),
        (np.array(["x", "y", "z"]), "b.npy: the vector is <U1, not numbers - save it"),
    ],
)
def test_what_is_no_vector_is_refused(tmp_path, array, message):
    np.save(tmp_path / "a.npy", np.ones(3))
    np.save(tmp_path / "b.npy", array)
    with pytest.raises(UserError, match=message):
        read_vector_folder(tmp_path)


@pytest.mark.parametrize(
    ("first", "second"), [("i8", "f4"), ("f4", "f8"), ("f2", "f4"), ("b1", "f4")]
)
def test_vectors_are_not_cut_to_the_dtype_of_the_first(tmp_path, first, second):
    np.save(tmp_path / "a.npy", np.zeros(3, first))
    np.save(tmp_path / "b.npy", np.array([0.25, 0.5, 0.75], second))
    message = f"b.npy: the vector is {np.dtype(second)}, but a.npy is {np.dtype(first)}"
    with pytest.raises(UserError, match=f"{message} - save all of them as float32"):
        read_vector_folder(tmp_path)


def test_the_order_of_bytes_is_no_other_dtype(tmp_path):
    np.save(tmp_path / "a.npy", np.array([1, 2], "<f4"))
    np.save(tmp_path / "b.npy", np.array([3, 4], ">f4"))
    assert read_vector_folder(tmp_path).values.tolist() == [[1, 2], [3, 4]]


def test_a_folder_without_vectors_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no .npy file - give a folder with <item id>"):
        read_vector_folder(tmp_path)
