from __future__ import annotations

from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmgraph.data import read_interactions
from mmgraph.data.formats import budget
from mmgraph.data.formats.parquet import read_columns
from mmgraph.data.formats.parquet_footer import column_chunks, read_struct
from mmgraph.errors import UserError

TABLE = pa.table({"user": ["a", "b"], "item": [1, 2]})


def damage(path, old, new):
    content = path.read_bytes()
    assert content.count(old) == 1
    assert len(old) == len(new)
    path.write_bytes(content.replace(old, new))


@pytest.mark.parametrize("name", [b"user", b"item"])
def test_a_footer_that_contradicts_itself_is_refused(tmp_path, name):
    path = tmp_path / "a.parquet"
    pq.write_table(TABLE, path, store_schema=False)
    # A column that may hold nulls becomes one that may not; its histogram of levels
    # has one too many. pyarrow ended the process when it described this column.
    damage(path, b"\x25\x02\x18\x04" + name, b"\x25\x00\x18\x04" + name)
    with pytest.raises(UserError, match=r"a.parquet: damaged parquet file \(.*\) - w"):
        read_interactions(path)


def test_a_column_under_another_name_counts(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"d": np.zeros(10**6)}), path, store_schema=False)
    damage(path, b"\x19\x18\x01d", b"\x19\x18\x01e")
    monkeypatch.setattr(budget, "ALWAYS_ALLOWED", 10**6)
    with pytest.raises(UserError, match=r"a.parquet: declares 8000000 bytes in "):
        read_columns(path, ["d"])


@given(
    st.lists(st.lists(st.floats(), max_size=4) | st.none(), min_size=1, max_size=9),
    st.integers(1, 4),
    st.sampled_from(["none", "zstd"]),
    st.sampled_from(["1.0", "2.0"]),
)
def test_chunks_are_those_that_pyarrow_describes(lists, rows, compression, version):
    table = pa.table(
        {
            "list": pa.array(lists, pa.list_(pa.float64())),
            "number": range(len(lists)),
            "text": [str(each) for each in lists],
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        row_group_size=rows,
        compression=compression,
        data_page_version=version,
        data_page_size=1,
    )
    metadata = pq.ParquetFile(pa.BufferReader(sink.getvalue())).metadata
    described = [
        (number, chunk.num_values)
        for group in map(metadata.row_group, range(metadata.num_row_groups))
        for number, chunk in enumerate(map(group.column, range(group.num_columns)))
    ]

    class File:
        def open(self, _):
            return BytesIO(sink.getvalue())

    assert [chunk[:2] for chunk in column_chunks(File(), range(3))] == described
    assert all(chunk.size > 0 for chunk in column_chunks(File(), range(3)))


def varint(number, length):
    """Bytes of a number of Thrift's, zigzag, as long as asked."""
    number *= 2
    digits = [number >> 7 * place & 127 for place in range(length)]
    assert number >> 7 * length == 0
    return bytes([digit | 128 for digit in digits[:-1]] + digits[-1:])


def test_pages_count_where_the_footer_declares_less(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    size = 10**6
    zeros = pa.ListArray.from_arrays([0, size], pa.array(np.zeros(size)))
    pq.write_table(
        pa.table({"d": zeros}),
        path,
        data_page_size=10**8,
        write_statistics=False,
        compression="zstd",
    )
    content = path.read_bytes()
    declared = b"\x16" + varint(size, 3)  # an int64 of the footer, not of a page
    assert content.count(declared) == 1
    path.write_bytes(content.replace(declared, b"\x16" + varint(1, 3)))
    monkeypatch.setattr(budget, "ALWAYS_ALLOWED", 10**6)
    with pytest.raises(UserError, match=r"a.parquet: declares 8000000 bytes in "):
        read_columns(path, ["d"])


def test_a_page_that_unpacks_to_more_than_its_values_counts(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    noise = np.random.default_rng(0).normal(size=3000)
    pq.write_table(pa.table({"d": noise}), path, use_dictionary=False)
    chunk = next(iter(column_chunks(path, [0])))
    assert chunk.num_values == 3000
    assert 24_000 <= chunk.size < 24_100
    content = path.read_bytes()
    head = b"\x15\x00\x15" + varint(chunk.size, 3)
    assert content.startswith(head, 4)
    path.write_bytes(content.replace(head, b"\x15\x00\x15" + varint(10**6, 3), 1))
    monkeypatch.setattr(budget, "ALWAYS_ALLOWED", 10**5)
    monkeypatch.setattr(budget, "MAX_RATIO", 1)
    with pytest.raises(UserError, match=r"a.parquet: declares 1000000 bytes in "):
        read_columns(path, ["d"])


def test_columns_that_are_not_encrypted_are_read(tmp_path):
    encryption = pytest.importorskip("pyarrow.parquet.encryption")

    class Keys(encryption.KmsClient):
        def wrap_key(self, key_bytes, _):
            return key_bytes.hex()

        def unwrap_key(self, wrapped_key, _):
            return bytes.fromhex(wrapped_key)

    factory = encryption.CryptoFactory(lambda _: Keys())
    properties = factory.file_encryption_properties(
        encryption.KmsConnectionConfig(),
        encryption.EncryptionConfiguration(
            footer_key="f", column_keys={"c": ["item"]}, plaintext_footer=True
        ),
    )
    path = tmp_path / "a.parquet"
    with pq.ParquetWriter(
        path, TABLE.schema, encryption_properties=properties
    ) as writer:
        writer.write_table(TABLE)
    assert read_columns(path, ["user"])["user"].to_pylist() == ["a", "b"]
    # pyarrow ended the process when it described this column.
    with pytest.raises(UserError, match=r"a.parquet: damaged .*column is encrypted"):
        read_columns(path, ["item"])


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (b"\x11\x12\x00", {1: True, 2: False}),
        (b"\x13\x05\x14\x03\x00", {1: 5, 2: -2}),
        (b"\x17\x00\x00\x00\x00\x00\x00\xf8\x3f\x00", {1: 1.5}),
        (b"\x08\x64\x01a\x00", {50: b"a"}),  # the number of the field in full
        (b"\x19\x21\x01\x00\x00", {1: [1, 0]}),
        (b"\x19\xf5\x10" + b"\x02" * 16 + b"\x00", {1: [1] * 16}),
        (b"\x1b\x00\x15\x02\x00", {1: {}, 2: 1}),
        (b"\x1b\x01\x58\x02\x01x\x15\x02\x00", {1: {}, 2: 1}),
        (b"\x1c\x15\x02\x00\x00", {1: {1: 1}}),
        (b"\x1d" + bytes(16) + b"\x00", {1: bytes(16)}),
        (b"\x15\x02\x05\x02\x02\x00", None),  # twice
        (b"\x1e\x00", None),
        (b"\x15" + b"\xff" * 10 + b"\x00\x00", None),
        (b"\x15" + b"\xff" * 9 + b"\x7f\x00", None),
        (b"\x18\x05ab", None),
    ],
)
def test_structs_of_thrift(content, fields):
    if fields is None:
        with pytest.raises((ValueError, IndexError)):
            read_struct(BytesIO(content))
    else:
        assert read_struct(BytesIO(content)) == fields


@pytest.mark.parametrize("content", [b"\x1c" * 5000, b"\x19\xf9\xff\xff\xff\xff\x0f"])
def test_a_footer_that_never_ends_is_one_error(tmp_path, content):
    path = tmp_path / "a.parquet"
    path.write_bytes(content + len(content).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(ValueError, match="footer or page cannot be read"):
        list(column_chunks(path, [0]))


@pytest.mark.parametrize(
    "head",
    [
        b"\x15\x00\x15\x02\x15\x01",  # packed in -1 bytes
        b"\x15\x00\x15\x01\x15\x02",
        b"\x15\x00\x15\x02\x15\xfe\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x15\x00\x18\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x15\x00\x18\xff\xff\xff\xff\x7f",
        b"\x19\xf1\xff\xff\xff\xff\x7f",
        b"\x00",
    ],
)
def test_a_damaged_head_of_a_page_is_one_error(tmp_path, head):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"d": range(100)}), path, use_dictionary=False)
    path.write_bytes(b"PAR1" + head + path.read_bytes()[4 + len(head) :])
    with pytest.raises(UserError, match=r"a.parquet: damaged parquet file \(.*\) - w"):
        read_columns(path, ["d"])


@pytest.mark.parametrize(
    "meta_data", [b"\x35\x0a", b"\x38\x01a", b"\x39\x15\x02", b"\x31", b"\x3c\x00"]
)
def test_a_chunk_that_is_no_struct_is_one_error(tmp_path, meta_data):
    path = tmp_path / "a.parquet"
    chunk, rows = meta_data + b"\0", b"\x26\x02"
    footer = b"\x49\x1c" + b"\x19\x1c" + chunk + rows + b"\0" + b"\0"
    path.write_bytes(footer + len(footer).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(ValueError, match="footer or page cannot be read"):
        list(column_chunks(path, [0]))
