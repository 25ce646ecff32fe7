"""Features with their ids as a file that data folders read, written block by block."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib import format as npy_format

from mmgraph.checksum import CHECKSUM, PLACEHOLDER
from mmgraph.errors import UserError
from mmgraph.files import write_atomic_by

DTYPES = ("float32", "float16")
_ZEROS = b"0" * 64
_GROUP_ROWS = 16_384
_FEATURES, _IDS = "features", "ids"

Blocks = Iterable[np.ndarray]
Shape = tuple[int, int]


class HashedFile:
    """A file that is written once, from front to end, and then gets its checksum.

    Args:
        file: Open for writing; it must be able to seek.
    """

    def __init__(self, file: io.FileIO) -> None:
        self._file, self._digest = file, hashlib.sha256()
        self._position, self._place = 0, -1
        self.closed = False

    def write(self, content: Any, /) -> int:
        """Write bytes; one of these contents holds the placeholder."""
        raw = bytes(content)
        place = raw.find(PLACEHOLDER.encode())
        if place >= 0:
            self._place = self._position + place + PLACEHOLDER.encode().find(_ZEROS)
        self._file.write(raw)
        self._digest.update(raw)
        self._position += len(raw)
        return len(raw)

    def tell(self) -> int:
        """Number of bytes so far."""
        return self._position

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def add_checksum(self) -> None:
        """Put the SHA-256 of all that was written into the placeholder."""
        if self._place < 0:
            raise ValueError("the content must hold the placeholder")
        self._file.seek(self._place)
        self._file.write(self._digest.hexdigest().encode())


def check_feature_file(path: Path, dtype: str = "float32") -> None:
    """Refuse a feature file of a kind that cannot be written.

    Args:
        path: The file.
        dtype: Of the features.

    Raises:
        UserError: If the suffix has no writer, or the dtype is another.

    Example:
        >>> check_feature_file(Path("visual.npy"))
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: visual.npy: holds no ids, so that items without \
features could not be left out - choose .npz, .parquet or .safetensors
    """
    if dtype not in DTYPES:
        raise UserError(f"dtype is {dtype!r}", f"write {' or '.join(DTYPES)}")
    if path.suffix not in WRITERS:
        what = f"unknown feature format {path.suffix!r}"
        if path.suffix == ".npy":
            what = "holds no ids, so that items without features could not be left out"
        raise UserError(what, "choose .npz, .parquet or .safetensors", path=path)


def check_ids(path: Path, ids: np.ndarray) -> None:
    """Refuse ids that a file of this kind cannot hold.

    Raises:
        UserError: If they are strings, and the file is to be a safetensors file.

    Example:
        >>> check_ids(Path("a.safetensors"), np.array([7]))
    """
    if path.suffix == ".safetensors" and ids.dtype.kind == "U":
        what = "the item ids are strings, which safetensors cannot hold"
        raise UserError(what, "choose .npz or .parquet", path=path)


def check_range(
    features: np.ndarray, dtype: str, *, fix: str = "write float32"
) -> None:
    """Refuse numbers that would become infinite.

    Args:
        features: Any shape.
        dtype: That they are to have.
        fix: What to do about it.

    Raises:
        UserError: If one is too large.

    Example:
        >>> check_range(np.array([[6e4, np.inf]]), "float16")
    """
    finite = np.isfinite(features)
    largest = float(np.abs(features).max(initial=0.0, where=finite))
    if largest > float(np.finfo(dtype).max):
        raise UserError(
            f"the features reach {largest:.3g}, which {dtype} does not hold", fix
        )


def write_features(
    path: Path, ids: np.ndarray, blocks: Blocks, dim: int, dtype: str = "float32"
) -> None:
    """Write features and ids, whole or not at all, with the checksum of the file.

    Args:
        path: ``.npz``, ``.parquet`` or ``.safetensors``; an ordinary file is replaced.
        ids: Of all rows ``[n]``, int64 or strings.
        blocks: The features in pieces ``[*, dim]``, together ``[n, dim]``; one at a
            time is in memory.
        dim: Number of columns.
        dtype: ``"float32"`` or ``"float16"``.

    Raises:
        UserError: As :func:`check_feature_file`, :func:`check_ids` and
            :func:`check_range`, or if it cannot be written.
        ValueError: If the blocks have more or fewer rows than there are ids, or another
            number of columns.

    Example:
        >>> import tempfile
        >>> from mmgraph.data.formats.features import read_features
        >>> path = Path(tempfile.mkdtemp()) / "textual.npz"
        >>> write_features(path, np.array([7, 9]), [np.ones((2, 3))], dim=3)
        >>> x, ids = read_features(path)
        >>> x.shape, ids.tolist()
        ((2, 3), [7, 9])
    """
    check_feature_file(path, dtype)
    check_ids(path, ids)
    shape = (len(ids), dim)
    checked = _checked(blocks, shape, dtype)

    def write(file: io.FileIO) -> None:
        hashed = HashedFile(file)
        WRITERS[path.suffix](hashed, ids, checked, shape, dtype)
        hashed.add_checksum()

    write_atomic_by(path, write)


def _checked(blocks: Blocks, shape: Shape, dtype: str) -> Blocks:
    """The blocks in their dtype, which are together of this shape."""
    rows, (most, dim) = 0, shape
    for block in blocks:
        if block.ndim != 2 or block.shape[1] != dim:
            raise ValueError(
                f"blocks must have {dim} columns (got shape {block.shape})"
            )
        check_range(block, dtype)
        rows += len(block)
        if rows > most:
            break
        yield np.ascontiguousarray(block, dtype=dtype)
    if rows != most:
        more = " or more" if rows > most else ""
        raise ValueError(f"blocks must have {most} rows together (got {rows}{more})")


def _write_npz(
    file: HashedFile, ids: np.ndarray, blocks: Blocks, shape: Shape, dtype: str
) -> None:
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    with zipfile.ZipFile(cast(IO[bytes], file), "w") as archive:
        archive.comment = PLACEHOLDER.encode()
        # A ZipInfo of a name alone has no time of day in it.
        member = zipfile.ZipInfo(f"{_FEATURES}.npy")
        with archive.open(member, "w", force_zip64=True) as array:
            npy_format.write_array_header_1_0(array, header)
            for block in blocks:
                array.write(block.data.cast("B"))
        with archive.open(zipfile.ZipInfo(f"{_IDS}.npy"), "w") as array:
            npy_format.write_array(array, ids, allow_pickle=False)


def _write_safetensors(
    file: HashedFile, ids: np.ndarray, blocks: Blocks, shape: Shape, dtype: str
) -> None:
    """The library writes whole tensors alone; the format is a header and the bytes."""
    end = 8 * shape[0]
    size = shape[0] * shape[1] * np.dtype(dtype).itemsize
    header = {
        "__metadata__": {CHECKSUM: PLACEHOLDER},
        _IDS: {"dtype": "I64", "shape": [shape[0]], "data_offsets": [0, end]},
        _FEATURES: {
            "dtype": "F32" if dtype == "float32" else "F16",
            "shape": list(shape),
            "data_offsets": [end, end + size],
        },
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    file.write(ids.astype("<i8").tobytes())
    for block in blocks:
        file.write(block.data)


def _write_parquet(
    file: HashedFile, ids: np.ndarray, blocks: Blocks, shape: Shape, dtype: str
) -> None:
    kind = pa.list_(pa.from_numpy_dtype(np.dtype(dtype)), shape[1])
    names = pa.array(ids)
    schema = pa.schema(
        [("item_id", names.type), (_FEATURES, kind)], {CHECKSUM: PLACEHOLDER}
    )
    start = 0
    with pq.ParquetWriter(file, schema, use_dictionary=False) as writer:
        for block in _grouped(blocks):
            values = pa.FixedSizeListArray.from_arrays(block.reshape(-1), shape[1])
            part = names[start : start + len(block)]
            writer.write_table(pa.table([part, values.cast(kind)], schema=schema))
            start += len(block)


def _grouped(blocks: Blocks) -> Blocks:
    """Blocks put together to groups of rows of a size that readers like."""
    held: list[np.ndarray] = []
    for block in blocks:
        held.append(block)
        if sum(map(len, held)) >= _GROUP_ROWS:
            yield np.concatenate(held)
            held.clear()
    if held:
        yield np.concatenate(held)


#: A writer for each suffix.
WRITERS: dict[str, Callable[[HashedFile, np.ndarray, Blocks, Shape, str], None]] = {
    ".npz": _write_npz,
    ".parquet": _write_parquet,
    ".safetensors": _write_safetensors,
}
