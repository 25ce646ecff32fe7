from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmgraph.data.formats.parquet import parquet_errors, read_columns
from mmgraph.errors import UserError

PATH = Path("a.parquet")


def test_an_error_of_pyarrow_is_one_line_that_names_the_file():
    with (
        pytest.raises(
            UserError, match=r"^a\.parquet: damaged parquet file \(cut\) - w"
        ),
        parquet_errors(PATH),
    ):
        raise pa.ArrowInvalid("cut\nand more")


def test_other_errors_pass_as_they_are():
    with pytest.raises(KeyError), parquet_errors(PATH):
        raise KeyError("item")


def test_run_lengths_are_counted_before_they_are_unpacked(tmp_path):
    path = tmp_path / "a.parquet"
    zeros = pa.table({"d": pa.array(np.zeros(10**6))})
    with pq.ParquetWriter(path, zeros.schema) as writer:
        for _ in range(40):
            writer.write_table(zeros)
    assert path.stat().st_size < 400_000
    with pytest.raises(UserError, match=r"a.parquet: declares 320000000 bytes in "):
        read_columns(path, ["d"])


def test_one_long_string_is_not_spelled_out_a_thousand_times(tmp_path):
    path = tmp_path / "a.parquet"
    codes = pa.array(np.zeros(1000, np.int32))
    column = pa.DictionaryArray.from_arrays(codes, pa.array(["x" * 400_000]))
    pq.write_table(pa.table({"s": column}), path, compression="zstd")
    with pytest.raises(UserError, match=r"a.parquet: declares 400000000 bytes in "):
        read_columns(path, ["s"])


def test_zeros_and_one_hot_rows_of_a_real_size_are_read(tmp_path):
    path = tmp_path / "a.parquet"
    rows = [np.zeros(4096, np.float32)] * 2000
    pq.write_table(pa.table({"v": rows}), path, compression="zstd")
    assert path.stat().st_size < 400_000
    assert len(read_columns(path, ["v"])["v"]) == 2000


def test_strings_that_are_no_utf_8_are_refused(tmp_path):
    path = tmp_path / "a.parquet"
    column = pa.array([b"\xb1\xb1", b"b"]).view(pa.string())
    pq.write_table(pa.table({"s": column}), path)
    with pytest.raises(UserError, match=r"a.parquet: damaged parquet file .*UTF8"):
        read_columns(path, ["s"])


def test_an_error_of_the_disk_passes():
    with pytest.raises(PermissionError), parquet_errors(PATH):
        raise PermissionError(13, "no")
    with pytest.raises(UserError, match="damaged parquet"), parquet_errors(PATH):
        raise OSError("thrift\nand more")


def test_column_names_that_are_no_utf_8_are_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"longname": [1.0]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"longname", b"long\xf3ame"))
    with pytest.raises(UserError, match=r"a.parquet: damaged parquet file .*utf-8"):
        read_columns(path, ["longname"])


def test_an_encoding_that_is_not_read_is_not_called_damage(tmp_path):
    path = tmp_path / "a.parquet"
    encoding = {"s": "DELTA_LENGTH_BYTE_ARRAY"}
    table = pa.table({"s": ["x", "y"]})
    pq.write_table(table, path, use_dictionary=False, column_encoding=encoding)
    message = r"a.parquet: encoding that is not read \(.*\) - write it again"
    with pytest.raises(UserError, match=message):
        read_columns(path, ["s"])
