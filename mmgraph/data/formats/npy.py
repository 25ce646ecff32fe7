"""NumPy files read with distrust: sizes are checked before memory is taken."""

from __future__ import annotations

import errno
import math
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.lib import format as npy_format

from mmgraph.data.formats.budget import check_zip
from mmgraph.errors import UserError

_AGAIN = "save it again with numpy.save"
_AGAIN_NPZ = "save it again with numpy.savez"


def read_npy(path: Path) -> np.ndarray:
    """Memory-map a ``.npy`` file whose header and size agree.

    Args:
        path: The file.

    Returns:
        Read-only array of the dtype on disk.

    Raises:
        UserError: If it is no npy file, truncated, or holds Python objects.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "x.npy"
        >>> np.save(path, np.eye(2))
        >>> read_npy(path).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    with path.open("rb") as file:
        empty = _check_header(file, path.stat().st_size, path)
    try:
        mapped: np.ndarray = np.load(
            path, mmap_mode=None if empty else "r", allow_pickle=False
        )
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError("not a readable npy array", _AGAIN, path=path) from error
    return mapped


def as_tensor(values: np.ndarray) -> torch.Tensor:
    """The same memory as a tensor, also where it is a file that is only read.

    Only what is not in the byte order of the machine is copied.

    Example:
        >>> as_tensor(np.ones(2))
        tensor([1., 1.], dtype=torch.float64)
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
        return torch.from_numpy(
            values.astype(values.dtype.newbyteorder("="), copy=False)
        )


def npz_names(path: Path) -> list[str]:
    """Names of the arrays in a ``.npz`` file, in their order; none is read.

    Raises:
        UserError: If it is no npz file, or a name stands twice.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "x.npz"
        >>> np.savez(path, features=np.eye(2))
        >>> npz_names(path)
        ['features']
    """
    with _npz_errors(path), zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
    twice = [name for number, name in enumerate(names) if name in names[:number]]
    if twice:
        raise UserError(f"two arrays {twice[0]!r}", _AGAIN_NPZ, path=path)
    return names


def npz_length(path: Path, name: str) -> int:
    """Number of rows of an array in a ``.npz`` file, by its header.

    Raises:
        UserError: As :func:`read_npz` does.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "x.npz"
        >>> np.savez(path, features=np.eye(2))
        >>> npz_length(path, "features")
        2
    """
    with (
        _npz_errors(path),
        zipfile.ZipFile(path) as archive,
        archive.open(f"{name}.npy") as file,
    ):
        npy_format.read_magic(file)
        shape, _, _ = npy_format.read_array_header_1_0(file)
    return int(shape[0]) if shape else 0


def read_npz(path: Path, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """Read arrays of a ``.npz`` file, none of them pickled.

    Args:
        path: The file.
        names: The arrays to read; by default all. The others are not touched.

    Returns:
        Arrays by name, in the order of the file.

    Raises:
        UserError: If it is no npz file, damaged, holds Python objects, or declares far
            more bytes than it has (:func:`~mmgraph.data.formats.budget.check_zip`).

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "x.npz"
        >>> np.savez(path, features=np.eye(2))
        >>> list(read_npz(path))
        ['features']
    """
    known = npz_names(path)
    chosen = known if names is None else [name for name in known if name in set(names)]
    arrays = {}
    with _npz_errors(path), zipfile.ZipFile(path) as archive:
        members = {
            info.filename.removesuffix(".npy"): info for info in archive.infolist()
        }
        check_zip(path, [members[name].filename for name in chosen])
        for name in chosen:
            member = members[name]
            with archive.open(member) as file:
                _check_header(file, member.file_size, path, member.filename)
            with archive.open(member) as file:
                arrays[name] = npy_format.read_array(file, allow_pickle=False)
    return arrays


@contextmanager
def _npz_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        EOFError,
        ValueError,
        OSError,
    ) as error:
        # A place before the file's first byte is damage, what else is of the disk.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise UserError(f"damaged npz file ({error})", _AGAIN_NPZ, path=path) from error


def _check_header(file: IO[bytes], size: int, path: Path, member: str = "") -> bool:
    """Refuse what is no array of plain values of exactly this size; True if empty."""
    name = f"{member}: " if member else ""
    try:
        version = npy_format.read_magic(file)
        read = {
            (1, 0): npy_format.read_array_header_1_0,
            (2, 0): npy_format.read_array_header_2_0,
        }[version]
        shape, _, dtype = read(file)
        start = file.tell()
    except zipfile.BadZipFile:
        raise
    except Exception as error:  # whatever a damaged header provokes
        raise UserError(f"{name}not a readable npy array", _AGAIN, path=path) from error
    if dtype.hasobject:
        raise UserError(
            f"{name}holds pickled Python objects, which are never loaded",
            "save a plain array: .astype('float32'), or .astype(str) for ids",
            path=path,
        )
    expected = start + math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or expected != size:
        state = "truncated" if expected > size else "longer than its header says"
        raise UserError(
            f"{name}{state}: {list(shape)} {dtype} needs {expected} bytes, not {size}",
            "copy or save it again",
            path=path,
        )
    if dtype.itemsize == 0 or not isinstance(shape, tuple):
        raise UserError(f"{name}not a readable npy array", _AGAIN, path=path)
    return 0 in shape
