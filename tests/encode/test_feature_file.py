from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from mmgraph.checksum import PLACEHOLDER, add_checksum, file_has_checksum
from mmgraph.data.formats.features import read_feature_matrix, read_item_rows
from mmgraph.encode import feature_file
from mmgraph.encode.feature_file import HashedFile, check_feature_file, write_features
from mmgraph.errors import UserError

SUFFIXES = [".npz", ".parquet", ".safetensors"]
X = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
NUMBERS, NAMES = np.arange(7) * 5, np.array([f"i{n}" * n for n in range(1, 8)])


def blocks():
    yield X[:2]
    yield X[2:6]
    yield X[6:]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(
    ("suffix", "ids"),
    [(".npz", NAMES), (".parquet", NAMES), *((s, NUMBERS) for s in SUFFIXES)],
)
def test_the_readers_of_data_folders_read_it(suffix, ids, dtype, tmp_path):
    path = tmp_path / f"visual{suffix}"
    write_features(path, ids, blocks(), 3, dtype)
    values, read, stored = read_feature_matrix(path)
    assert (values == X.astype(dtype).astype("f4")).all()
    assert read.tolist() == ids.tolist()
    assert stored.replace("halffloat", "float16") == dtype or suffix == ".parquet"
    assert read_item_rows(path)[1].tolist() == ids.tolist()
    before = path.read_bytes()
    write_features(path, ids, [X], 3, dtype)  # whatever the blocks
    assert path.read_bytes() == before


def test_parquet_has_groups_of_many_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_file, "_GROUP_ROWS", 5)
    write_features(tmp_path / "a.parquet", NUMBERS, blocks(), 3)
    with pq.ParquetFile(tmp_path / "a.parquet") as file:
        groups = range(file.num_row_groups)
        assert [file.metadata.row_group(n).num_rows for n in groups] == [6, 1]
    assert (read_feature_matrix(tmp_path / "a.parquet").values == X).all()


def test_other_libraries_read_it(tmp_path):
    for suffix in SUFFIXES:
        write_features(tmp_path / f"a{suffix}", NUMBERS, blocks(), 3)
    with np.load(tmp_path / "a.npz") as arrays:
        assert (arrays["features"] == X).all()
        assert (arrays["ids"] == NUMBERS).all()
    tensors = load_file(tmp_path / "a.safetensors")
    assert (tensors["features"] == X).all()
    assert (tensors["ids"] == NUMBERS).all()
    table = pq.read_table(tmp_path / "a.parquet")
    assert table["features"].to_pylist() == X.tolist()
    assert table["item_id"].to_pylist() == NUMBERS.tolist()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([X[:2], X[2:6]], r"blocks must have 7 rows together \(got 6\)"),
        ([], r"blocks must have 7 rows together \(got 0\)"),
        ([X, X[:1]], r"blocks must have 7 rows together \(got 8 or more\)"),
        ([X[:2], X[2:, :2]], r"blocks must have 3 columns \(got shape \(5, 2\)\)"),
        ([X.flatten()], r"blocks must have 3 columns \(got shape \(21,\)\)"),
    ],
)
def test_blocks_that_do_not_fit_the_ids_are_no_file(suffix, given, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_features(tmp_path / f"a{suffix}", NUMBERS, given, 3)
    assert not list(tmp_path.iterdir())


def test_no_number_becomes_infinite(tmp_path):
    x, path = np.ones((7, 3)), tmp_path / "a.npz"
    x[5, 1], x[6] = np.inf, np.nan
    write_features(path, NUMBERS, [x], 3, "float16")  # they are what they were
    for large, dtype in ((7e4, "float16"), (-7e4, "float16"), (1e39, "float32")):
        x[2, 0] = large
        told = f"the features reach {abs(large):.3g}, which {dtype} does not hold - "
        with pytest.raises(UserError, match=re.escape(told)):
            write_features(path, NUMBERS, [x], 3, dtype)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_flipped_bit_anywhere_is_seen(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    write_features(path, NUMBERS, blocks(), 3)
    assert file_has_checksum(path)
    whole = path.read_bytes()
    for place in np.linspace(0, len(whole) - 1, 20, dtype=int):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        path.write_bytes(bytes(damaged))
        with pytest.raises(UserError, match="damaged: its content does not agree"):
            file_has_checksum(path)


def test_the_checksum_is_the_one_of_a_content_in_memory(tmp_path):
    content, path = b"before " + PLACEHOLDER.encode() + b" after", tmp_path / "a"
    with io.FileIO(path, "wb") as file:
        hashed = HashedFile(file)
        hashed.write(content[:-3])
        hashed.write(memoryview(content)[-3:])
        assert hashed.tell() == len(content)
        hashed.add_checksum()
    assert path.read_bytes() == add_checksum(content)
    with io.FileIO(path, "wb") as file, pytest.raises(ValueError, match="holder"):
        HashedFile(file).add_checksum()


@pytest.mark.parametrize(
    ("name", "dtype", "message"),
    [
        ("a.npy", "float32", "a.npy: holds no ids, so that items without features co"),
        ("a.csv", "float32", "a.csv: unknown feature format '.csv' - choose .npz, .p"),
        ("a.npz", "float64", "dtype is 'float64' - write float32 or float16"),
    ],
)
def test_what_cannot_be_written_is_one_line(name, dtype, message):
    with pytest.raises(UserError) as error:
        check_feature_file(Path(name), dtype)
    assert str(error.value).startswith(message)


def test_strings_do_not_fit_into_safetensors(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(UserError, match="which safetensors cannot hold - choose"):
        write_features(path, NAMES, blocks(), 3)
    assert not path.exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_is_half_written(suffix, tmp_path):
    def stopped():
        yield X[:2]
        raise KeyboardInterrupt

    path = tmp_path / f"a{suffix}"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt):
        write_features(path, NUMBERS, stopped(), 3)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
