"""NumPy files read with distrust: sizes are checked before memory is taken."""

from __future__ import annotations

import math
import warnings
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.lib import format as npy_format

from mmgraph.errors import UserError

# A compressed member may grow this much, or to this size, before it is refused.
MAX_EXPANSION = 200
MAX_UNSUSPICIOUS_BYTES = 2**28


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
        _check_header(file, path.stat().st_size, path)
    mapped: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped


def as_tensor(values: np.ndarray) -> torch.Tensor:
    """The same memory as a tensor, also where it is a file that is only read.

    Example:
        >>> as_tensor(np.ones(2))
        tensor([1., 1.], dtype=torch.float64)
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
        return torch.from_numpy(values)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read every array of a ``.npz`` file, none of them pickled.

    Args:
        path: The file.

    Returns:
        Arrays by name, in the order of the file.

    Raises:
        UserError: If it is no npz file, damaged, holds Python objects, or declares far
            more bytes than it has.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "x.npz"
        >>> np.savez(path, features=np.eye(2))
        >>> list(read_npz(path))
        ['features']
    """
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                bound = max(
                    MAX_EXPANSION * member.compress_size, MAX_UNSUSPICIOUS_BYTES
                )
                if member.file_size > bound:
                    raise UserError(
                        f"{member.filename} declares {member.file_size} bytes in "
                        f"{member.compress_size}",
                        "save it again with numpy.savez",
                        path=path,
                    )
                with archive.open(member) as file:
                    _check_header(file, member.file_size, path, member.filename)
                with archive.open(member) as file:
                    array = npy_format.read_array(file, allow_pickle=False)
                arrays[member.filename.removesuffix(".npy")] = array
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise UserError(
            f"damaged npz file ({error})", "save it again with numpy.savez", path=path
        ) from error
    return arrays


def _check_header(file: IO[bytes], size: int, path: Path, member: str = "") -> None:
    """Refuse what cannot be an array of plain values of exactly this size."""
    name = f"{member}: " if member else ""
    again = "save it again with numpy.save"
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
        raise UserError(f"{name}not a readable npy array", again, path=path) from error
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
