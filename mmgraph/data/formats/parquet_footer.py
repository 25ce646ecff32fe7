"""What a Parquet file declares of its columns, without pyarrow's description of them.

pyarrow's description of a column (``metadata.row_group(i).column(j)``) ends the process
where the statistics of its sizes contradict the schema, or where it is encrypted. The
footer and the heads of pages are structs of Thrift's compact protocol, which takes few
lines to read. The pages count, too: the footer of a file that was made to exhaust
memory can declare one value where a page has a billion.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

# Numbers of the fields in parquet.thrift: of the footer, of a row group, of a chunk ...
_ROW_GROUPS = 4
_COLUMNS, _NUM_ROWS = 1, 3
_META_DATA, _ENCRYPTION = 3, 8
_CHUNK_VALUES, _DATA_OFFSET, _DICTIONARY_OFFSET = 5, 9, 11
# ... and of the head of a page, with its number of values in version 1 or 2.
_UNPACKED, _PACKED, _DATA_PAGES = 2, 3, (5, 8)
_PAGE_VALUES = 1
# Bytes that the head of a page takes, hardly ever and at most.
_PAGE_HEADS = (2**14, 2**24)
_LONGEST_FILE = 2**40

# Types of Thrift's compact protocol.
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY = 1, 2, 3, 7, 8
_INTEGERS, _LISTS, _MAP, _STRUCT, _UUID = (4, 5, 6), (9, 10), 11, 12, 13

# What reading bytes as something that they are not ends in.
_SYMPTOMS = (LookupError, TypeError, OverflowError, RecursionError, struct.error)


class ColumnChunk(NamedTuple):
    """Part of a column: its number in the schema, its values, its bytes unpacked."""

    column: int
    num_values: int
    size: int


def column_chunks(path: Path, columns: Collection[int]) -> Iterator[ColumnChunk]:
    """What each row group and its pages declare of some columns.

    Args:
        path: A file that pyarrow has opened, so that it ends with a footer.
        columns: Numbers of the columns in the schema of Parquet.

    Yields:
        The chunks. A list that is empty or null counts as one value.

    Raises:
        ValueError: If the footer or a page is damaged, or a column is encrypted.

    Example:
        >>> import tempfile
        >>> import pyarrow as pa, pyarrow.parquet as pq
        >>> path = Path(tempfile.mkdtemp()) / "a.parquet"
        >>> pq.write_table(pa.table({"d": [[0.5], [1.5, 2.5]]}), path)
        >>> [(chunk.column, chunk.num_values) for chunk in column_chunks(path, [0])]
        [(0, 3)]
    """
    try:
        with path.open("rb") as file:
            for group in _footer(file)[_ROW_GROUPS]:
                for number in columns:
                    values, size = _unpacked(file, group[_COLUMNS][number])
                    yield ColumnChunk(number, max(values, group[_NUM_ROWS]), size)
    except _SYMPTOMS as error:
        raise ValueError("footer or page cannot be read") from error


def _footer(file: BinaryIO) -> dict[int, Any]:
    file.seek(-8, 2)
    size, _ = struct.unpack("<I4s", file.read())
    file.seek(-8 - size, 2)
    return read_struct(BytesIO(file.read(size)))


def _unpacked(file: BinaryIO, chunk: dict[int, Any]) -> tuple[int, int]:
    """Values of a chunk and their bytes, by the heads of the pages that are read."""
    if _META_DATA not in chunk or _ENCRYPTION in chunk:
        raise ValueError("a column is encrypted")
    declared = chunk[_META_DATA]
    has_dictionary = _DICTIONARY_OFFSET in declared and declared[_DICTIONARY_OFFSET]
    file.seek(_size(declared, _DICTIONARY_OFFSET if has_dictionary else _DATA_OFFSET))
    values = size = 0
    while values < declared[_CHUNK_VALUES]:
        head = _next_page(file)
        pages = [head[version] for version in _DATA_PAGES if version in head]
        values += sum(_size(page, _PAGE_VALUES) for page in pages)
        size += _size(head, _UNPACKED)
    return values, size


def _next_page(file: BinaryIO) -> dict[int, Any]:
    """Head of the page that begins here; the file is left where the next one begins."""
    start = file.tell()
    for size in _PAGE_HEADS:
        stream = BytesIO(file.read(size))
        with suppress(IndexError):
            head = read_struct(stream)
            file.seek(start + stream.tell() + _size(head, _PACKED))
            return head
        file.seek(start)
    raise ValueError("a page has no head")


def _size(fields: dict[int, Any], number: int) -> int:
    if not 0 <= fields[number] < _LONGEST_FILE:
        raise ValueError("a size is out of range")
    return int(fields[number])


def read_struct(stream: BinaryIO) -> dict[int, Any]:
    r"""Fields of a struct of Thrift's compact protocol, by their numbers.

    Args:
        stream: Bytes, from the first of the struct; left behind its last.

    Raises:
        ValueError: If a field stands twice, so that readers could take either, or has
            an unknown type.
        IndexError: If the bytes end.

    Example:
        >>> read_struct(BytesIO(b"\x15\x0a\x18\x02hi\x00"))
        {1: 5, 2: b'hi'}
    """
    fields: dict[int, Any] = {}
    number = 0
    while head := stream.read(1)[0]:
        step, kind = head >> 4, head & 15
        number = number + step if step else _integer(stream)
        if number in fields:
            raise ValueError(f"field {number} stands twice")
        # Flags of a struct have their value in the type.
        is_flag = kind in (_TRUE, _FALSE)
        fields[number] = kind == _TRUE if is_flag else _value(stream, kind)
    return fields


def _value(stream: BinaryIO, kind: int) -> Any:
    if kind in _INTEGERS:
        return _integer(stream)
    if kind == _BINARY:
        return stream.read(_varint(stream))
    if kind in _LISTS:
        return _list(stream)
    if kind == _STRUCT:
        return read_struct(stream)
    if kind in (_TRUE, _FALSE, _BYTE):
        return stream.read(1)[0]
    if kind == _DOUBLE:
        return struct.unpack("<d", stream.read(8))[0]
    if kind == _MAP:
        return _map(stream)
    if kind == _UUID:
        return stream.read(16)
    raise ValueError(f"type {kind} is unknown")


def _list(stream: BinaryIO) -> list[Any]:
    head = stream.read(1)[0]
    size, kind = head >> 4, head & 15
    size = _varint(stream) if size == 15 else size
    return [_value(stream, kind) for _ in range(size)]


def _map(stream: BinaryIO) -> dict[Any, Any]:
    size = _varint(stream)
    kinds = stream.read(1)[0] if size else 0
    for _ in range(size):  # no field that is used is one
        _value(stream, kinds >> 4)
        _value(stream, kinds & 15)
    return {}


def _integer(stream: BinaryIO) -> int:
    value = _varint(stream)
    return (value >> 1) ^ -(value & 1)  # zigzag: 0, -1, 1, -2


def _varint(stream: BinaryIO) -> int:
    value = shift = 0
    while True:
        byte = stream.read(1)[0]
        value |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
        if shift > 63:
            raise ValueError("a number is longer than 64 bits")
    if value >> 64:
        raise ValueError("a number is longer than 64 bits")
    return value
