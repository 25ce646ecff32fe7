from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.knn.rows.row_source import RowSource


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", "<i2", "u1", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_file_and_an_array_give_the_same_rows(tmp_path, dtype, order):
    x = np.asarray(np.arange(24).reshape(6, 4) % 5, dtype, order=order)
    np.save(tmp_path / "x.npy", x)
    for source in (RowSource(tmp_path / "x.npy"), RowSource(str(tmp_path / "x.npy"))):
        assert source.shape == (6, 4)
        assert len(source) == 6
        got = source[2:5]
        assert torch.equal(got, RowSource(x)[2:5])
        assert got.numpy().tolist() == x[2:5].astype(float).tolist()
    native = np.dtype(dtype).newbyteorder("=")
    assert got.numpy().dtype == (native if native.kind == "f" else np.float64)


def test_rows_are_the_callers_own(tmp_path):
    x = np.ones((3, 2), np.float32)
    RowSource(x)[0:3][:] = 7
    assert (x == 1).all()
    tensor = torch.ones(3, 2, dtype=torch.bfloat16)
    assert RowSource(tensor)[1:2].dtype == torch.float32


def test_bad_files_are_named(tmp_path):
    path = tmp_path / "x.npy"
    with pytest.raises(UserError, match=r"x\.npy: no such file - check the path"):
        RowSource(path)
    path.write_bytes(b"no table")
    with pytest.raises(UserError, match=r"x\.npy: no \.npy array \(.*\) - write it wi"):
        RowSource(path)
    np.save(path, np.array([object()]), allow_pickle=True)
    with pytest.raises(UserError, match=r"x\.npy: no \.npy array"):
        RowSource(path)
    np.save(path, np.ones(3))
    with pytest.raises(
        UserError, match=r"x\.npy: .*\[N, D\].* \(got \[3\] of float64\)"
    ):
        RowSource(path)
    with pytest.raises(
        UserError, match=r"x\.pt: .* block at a time - convert it to \.npy$"
    ):
        RowSource(tmp_path / "x.pt")
    with pytest.raises(
        ValueError, match=r"real numbers \(got \[2, 2\] of complex128\)"
    ):
        RowSource(np.ones((2, 2), complex))


def test_a_file_that_shrinks_is_noticed(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.ones((10, 4), np.float32))
    source = RowSource(path)
    with open(path, "r+b") as file:
        file.truncate(200)
    with pytest.raises(UserError, match=r"x\.npy: became .* read - restore the file$"):
        source[5:10]


def test_a_path_that_cannot_be_opened_is_named_with_its_reason(tmp_path):
    folder = tmp_path / "folder.npy"
    folder.mkdir()
    text = r"folder\.npy: cannot be read \(Is a directory\) - check the file$"
    with pytest.raises(UserError, match=text):
        RowSource(folder)
    path = tmp_path / "x.npy"
    np.save(path, np.ones((3, 2), np.float32))
    source = RowSource(path)
    path.unlink()
    text = r"x\.npy: cannot be read \(No such file or directory\) - check the file$"
    with pytest.raises(UserError, match=text):
        source[0:2]


def test_numpys_reason_is_given_without_its_full_stop(tmp_path):
    path = tmp_path / "x.npy"
    path.write_bytes(b"no table")
    with pytest.raises(ValueError, match=r".") as plain:
        np.load(path, allow_pickle=False)
    reason = str(plain.value).splitlines()[0].removesuffix(".")
    with pytest.raises(UserError) as error:
        RowSource(path)
    assert error.value.what == f"no .npy array ({reason})"


@pytest.mark.parametrize("dtype", ["M8[D]", "m8[s]", "U1", "g", "c8"])
def test_what_float64_does_not_hold_is_refused(dtype):
    with pytest.raises(ValueError, match=r"\(got \[2, 3\] of "):
        RowSource(np.zeros((2, 3), dtype))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_tensor_keeps_its_precision(dtype):
    x = torch.randn(4, 3, dtype=torch.float64).to(dtype).requires_grad_()
    got = RowSource(x)[0:4]
    assert got.dtype == dtype
    assert torch.equal(got, x.detach())


def test_a_matrix_has_a_column(tmp_path):
    assert RowSource(np.ones((3, 1))).shape == (3, 1)
    np.save(tmp_path / "x.npy", np.ones((3, 0)))
    text = r"\(got \[3, 0\] of float64\) - save such a matrix with numpy\.save$"
    with pytest.raises(UserError, match=text):
        RowSource(tmp_path / "x.npy")


def test_an_empty_file_is_named(tmp_path):
    (tmp_path / "x.npy").write_bytes(b"")
    with pytest.raises(UserError, match=r"x\.npy: no \.npy array"):
        RowSource(tmp_path / "x.npy")
