"""Parquet files read with distrust: what a file unpacks to is known before it is read.

Its footer and its pages say how many values a column has, whatever they are packed
into. Strings are unpacked last, from their dictionary: a file of 1 MB can repeat one a
million times.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mmgraph.data.formats.budget import check_budget
from mmgraph.data.formats.parquet_footer import column_chunks
from mmgraph.errors import UserError

# Bytes of a value in memory; of strings the position in their dictionary.
_BYTES = {
    **{"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 8, "FLOAT": 4, "DOUBLE": 8},
    **{"BYTE_ARRAY": 4},
}


@contextmanager
def parquet_errors(path: Path) -> Iterator[None]:
    """Errors of pyarrow in the block become errors of the user's file.

    Example:
        >>> with parquet_errors(Path("a.parquet")):
        ...     raise pa.ArrowInvalid("no footer")
        Traceback (most recent call last):
        mmgraph.errors.UserError: a.parquet: damaged parquet file (no footer) - write \
it again
    """
    try:
        yield
    except UserError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk, not of the file
        reason = str(error).splitlines()[0]
        # pyarrow reads no column of some encodings into a dictionary.
        is_whole = "Not yet implemented" in reason
        what = "encoding that is not read" if is_whole else "damaged parquet file"
        raise UserError(f"{what} ({reason})", "write it again", path=path) from error


def read_schema(path: Path) -> pa.Schema:
    """Columns of a file and their types.

    Raises:
        UserError: If the file is damaged.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.parquet"
        >>> pq.write_table(pa.table({"d": [0.5]}), path)
        >>> read_schema(path).names
        ['d']
    """
    with parquet_errors(path):
        return pq.read_schema(path)


def num_rows(path: Path) -> int:
    """Number of rows, by the footer.

    Raises:
        UserError: If the file is damaged.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.parquet"
        >>> pq.write_table(pa.table({"d": [0.5]}), path)
        >>> num_rows(path)
        1
    """
    with parquet_errors(path):
        return int(pq.read_metadata(path).num_rows)


def read_columns(
    path: Path, names: Sequence[str], *, coded: Collection[str] = ()
) -> dict[str, pa.ChunkedArray]:
    """Read columns of numbers, times, strings or lists of numbers, and nothing else.

    Args:
        path: The file.
        names: The columns, see :func:`read_schema`.
        coded: Columns of strings that may be left as categories, if they are read so.

    Returns:
        The columns by name; other categories are spelled out.

    Raises:
        UserError: If the file is damaged, or unpacks to far more than its size or than
            the memory that is free; if a column is of another type.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.parquet"
        >>> pq.write_table(pa.table({"d": [0.5, 1.5], "e": ["x", "y"]}), path)
        >>> read_columns(path, ["d"])["d"].to_pylist()
        [0.5, 1.5]
    """
    schema = read_schema(path)
    for name in names:
        if not _is_readable(schema.field(name).type):
            raise UserError(
                f"column {name!r} holds {schema.field(name).type}",
                "write numbers or strings",
                path=path,
            )
    text = [name for name in names if is_text(schema.field(name).type)]
    with parquet_errors(path):
        with pq.ParquetFile(path, read_dictionary=text) as file:
            check_budget(path, _declared(path, file.schema, set(names)))
            table = file.read(columns=list(names))
        columns = {name: table.column(name) for name in names}
        for column in columns.values():
            column.validate(full=True)  # codes out of range, strings that are no UTF-8
        read = {n: c for n, c in columns.items() if pa.types.is_dictionary(c.type)}
        check_budget(path, sum(_spelled_out(column) for column in read.values()))
        kept = {n for n in coded if n in read and is_text(read[n].type.value_type)}
        columns.update({n: _decode(read[n]) for n in read.keys() - kept})
    return columns


def is_text(kind: pa.DataType) -> bool:
    """True of the string types of Arrow.

    Example:
        >>> is_text(pa.large_string())
        True
    """
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
    )


def is_number_list(kind: pa.DataType) -> bool:
    """True of lists of numbers or flags.

    Example:
        >>> is_number_list(pa.list_(pa.float16()))
        True
        >>> is_number_list(pa.list_(pa.string()))
        False
    """
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
    ) and is_number(kind.value_type)


def is_number(kind: pa.DataType) -> bool:
    """True of numbers of any width, and of flags.

    Example:
        >>> is_number(pa.bool_()), is_number(pa.date32())
        (True, False)
    """
    return bool(
        pa.types.is_floating(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
    )


def _is_readable(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        is_number_list(kind)
        or is_text(kind)
        or pa.types.is_primitive(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
    )


def _declared(path: Path, schema: pq.ParquetSchema, names: set[str]) -> int:
    """Bytes of some columns in memory, strings not yet spelled out."""
    columns = {}
    for number in range(len(schema)):
        column = schema.column(number)
        parts = column.path.split(".")
        if any(".".join(parts[:depth]) in names for depth in range(1, len(parts) + 1)):
            columns[number] = column
    total = 0
    for chunk in column_chunks(path, columns):
        kind = columns[chunk.column].physical_type
        width = _BYTES.get(kind, columns[chunk.column].length)
        size = chunk.num_values * width
        total += size + chunk.size if kind == "BYTE_ARRAY" else max(size, chunk.size)
    return total


def _spelled_out(column: pa.ChunkedArray) -> int:
    """Bytes of a column of categories once each row has its own."""
    total = 0
    for chunk in column.chunks:
        values = chunk.dictionary
        if is_text(values.type):
            lengths = pc.binary_length(values).fill_null(0).to_numpy()
        else:
            lengths = np.full(len(values), 8)
        known = chunk.indices.drop_null().to_numpy()
        total += int(np.bincount(known, minlength=len(lengths)) @ lengths)
    return total


def _decode(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Each row its own value; ``large_string`` counts beyond 2 GiB."""
    kind = column.type.value_type
    wide = pa.large_string() if is_text(kind) else kind
    chunks = [
        pc.take(chunk.dictionary.cast(wide), chunk.indices) for chunk in column.chunks
    ]
    return pa.chunked_array(chunks, wide)
