from __future__ import annotations

import contextlib
import io
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgraph.data.formats.npy import as_tensor, npz_names, read_npy, read_npz
from mmgraph.errors import UserError

EXAMPLES = int(os.environ.get("MMGRAPH_EXAMPLES", "0"))


def npy_bytes(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


WHOLE = npy_bytes(np.arange(12.0).reshape(4, 3))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f8", "<i8"])
def test_plain_arrays_come_back(tmp_path, dtype, order):
    array = np.arange(12).reshape(4, 3).astype(dtype, order=order)
    np.save(tmp_path / "x.npy", array)
    assert np.array_equal(read_npy(tmp_path / "x.npy"), array)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", features=array, ids=np.array(["a", "b"]))
        arrays = read_npz(tmp_path / "x.npz")
        assert np.array_equal(arrays["features"], array)
        assert arrays["ids"].tolist() == ["a", "b"]


@settings(max_examples=EXAMPLES or 60)
@given(st.integers(0, len(WHOLE) - 1))
def test_no_truncation_passes(size):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        path.write_bytes(WHOLE[:size])
        with pytest.raises(UserError, match=r"x.npy: (truncated|not a readable)"):
            read_npy(path)


@settings(max_examples=EXAMPLES or 200)
@given(st.integers(0, 127), st.integers(0, 255))
def test_a_damaged_header_is_refused_or_harmless(place, value):
    damaged = bytearray(WHOLE)
    damaged[place] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        path.write_bytes(damaged)
        with contextlib.suppress(UserError):  # any other exception fails the test
            assert read_npy(path).nbytes <= len(WHOLE)


def test_a_header_that_claims_a_terabyte_is_refused_unread(tmp_path):
    claim = b"{'descr': '<f8', 'fortran_order': False, 'shape': (125000000, 1000), }"
    claim = claim.ljust(117) + b"\n"
    path = tmp_path / "x.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(claim).to_bytes(2, "little") + claim)
    with pytest.raises(UserError, match=r"truncated: .125000000, 1000. float64"):
        read_npy(path)


def test_bytes_after_the_array_are_refused(tmp_path):
    (tmp_path / "x.npy").write_bytes(WHOLE + b"more")
    with pytest.raises(UserError, match="longer than its header says"):
        read_npy(tmp_path / "x.npy")


class Planted:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_pickled_objects_are_refused_and_never_run(tmp_path, suffix):
    trap, path = tmp_path / "executed", tmp_path / f"x{suffix}"
    array = np.array([[Planted(trap)]], dtype=object)
    np.save(path, array) if suffix == ".npy" else np.savez(path, features=array)
    with pytest.raises(UserError, match="pickled Python objects"):
        (read_npy if suffix == ".npy" else read_npz)(path)
    assert not trap.exists()


def test_a_compression_bomb_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("features.npy", bytes(2**28 + 1))
    with pytest.raises(UserError, match="declares 268435457 bytes in"):
        read_npz(path)


@pytest.mark.parametrize("size", [0, 10, 100, 200])
def test_a_truncated_npz_is_refused(tmp_path, size):
    path = tmp_path / "x.npz"
    np.savez(path, features=np.eye(3))
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UserError, match=r"x.npz: damaged npz file"):
        read_npz(path)


def test_a_flipped_bit_in_an_npz_is_noticed(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, features=np.full((3, 3), 7.0))
    content = path.read_bytes()
    path.write_bytes(content.replace(np.float64(7.0).tobytes(), bytes(8), 1))
    with pytest.raises(UserError, match=r"damaged npz file .Bad CRC"):
        read_npz(path)


def test_parts_that_are_not_read_are_not_unpacked(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("features.npy", WHOLE)
        archive.writestr("other.npy", bytes(2**28 + 1))
    assert npz_names(path) == ["features", "other"]
    assert list(read_npz(path, ["features"])) == ["features"]


def test_parts_are_counted_together(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in "abc":
            archive.writestr(f"{name}.npy", bytes(2**27))
    with pytest.raises(
        UserError, match=r"x.npz: a.npy, with 2 more, declares 402653184"
    ):
        read_npz(path)


def test_values_of_no_bytes_are_refused(tmp_path):
    header = b"{'descr': '<U0', 'fortran_order': False, 'shape': (10000000000,), }"
    header = header.ljust(117) + b"\n"
    path = tmp_path / "x.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(UserError, match=r"x.npy: not a readable npy array"):
        read_npy(path)


def test_two_parts_of_one_name_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("features", WHOLE)
        archive.writestr("features.npy", WHOLE)
    with pytest.raises(
        UserError, match=r"x.npz: two arrays 'features' - save it again"
    ):
        read_npz(path)


def test_a_broken_stream_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, features=np.arange(300.0).reshape(30, 10))
    content = bytearray(path.read_bytes())
    content[80:120] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x.npz: "):
        read_npz(path)


def test_any_byte_order_becomes_a_tensor():
    assert as_tensor(np.array([1.0, 2.0], dtype=">f4")).tolist() == [1, 2]


def test_an_archive_that_points_before_its_first_byte_is_damaged(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, features=np.eye(2))
    content = path.read_bytes()
    start = int.from_bytes(content[-6:-2], "little")  # of the directory
    path.write_bytes(content[:-6] + (start + 9999).to_bytes(4, "little") + b"\0\0")
    with pytest.raises(UserError, match=r"x.npz: damaged npz file \(.*\) - save"):
        read_npz(path)
