"""A feature matrix on disk or in memory, read a block of rows at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmgraph.errors import UserError

Features = str | Path | np.ndarray[Any, Any] | Tensor


class RowSource:
    """Rows of a ``.npy`` file or of an array, copied out block by block.

    A file is read with plain reads, not through its memory map: pages of a map count
    as memory of the process for as long as the system likes, a block that was read
    goes when its tensor goes.

    Args:
        features: A ``.npy`` file of real numbers, or an array or tensor.

    Attributes:
        shape: ``(N, D)``.
        dtype: NumPy dtype of the values as stored.
        path: The file, or None.

    Raises:
        UserError: The file is no readable ``.npy`` matrix of real numbers.
        ValueError: The array is none.

    Example:
        >>> RowSource(np.arange(6.0).reshape(3, 2))[1:3]
        tensor([[2., 3.],
                [4., 5.]], dtype=torch.float64)
    """

    def __init__(self, features: Features) -> None:
        self.path = Path(features) if isinstance(features, str | Path) else None
        matrix = _mapped(self.path) if self.path else _array(features)
        real = matrix.dtype.kind in "fiub" and matrix.dtype.itemsize <= 8
        if matrix.ndim != 2 or matrix.shape[1] == 0 or not real:
            what = (
                "features must be a matrix [N, D], D > 0, of real numbers "
                f"(got {[*matrix.shape]} of {matrix.dtype})"
            )
            if self.path is None:
                raise ValueError(what)
            raise UserError(what, "save such a matrix with numpy.save", path=self.path)
        self.shape: tuple[int, int] = (matrix.shape[0], matrix.shape[1])
        self.dtype = matrix.dtype
        # In C order the rows of a file lie one after the other behind its header.
        self._matrix, self._begin = matrix, -1
        if self.path and isinstance(matrix, np.memmap) and matrix.flags.c_contiguous:
            self._begin = matrix.offset

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Tensor:
        """Read a range of rows into memory of their own; integers become float64.

        Args:
            rows: A slice of the rows, without a step.

        Raises:
            UserError: The file cannot be read, or has become shorter.
        """
        native = self.dtype.newbyteorder("=")
        start, stop, _ = rows.indices(len(self))
        if self.path and self._begin >= 0:
            values = self._read_file(self.path, start, stop).astype(native, copy=False)
        else:
            values = np.array(self._matrix[start:stop], dtype=native, order="C")
        if native.kind != "f":
            values = values.astype(np.float64)
        return torch.from_numpy(values)

    def _read_file(self, path: Path, start: int, stop: int) -> np.ndarray[Any, Any]:
        count = (stop - start) * self.shape[1]
        try:
            with open(path, "rb") as file:
                file.seek(self._begin + start * self.shape[1] * self.dtype.itemsize)
                values = np.fromfile(file, self.dtype, count)
        except OSError as error:
            raise _unreadable(path, error) from None
        if len(values) != count:
            raise UserError(
                "became shorter while it was read", "restore the file", path=path
            )
        return values.reshape(-1, self.shape[1])


def _mapped(path: Path) -> np.ndarray[Any, Any]:
    if path.suffix != ".npy":
        raise UserError(
            "cannot be read a block at a time", "convert it to .npy", path=path
        )
    try:
        matrix: np.ndarray[Any, Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise UserError("no such file", "check the path", path=path) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    except (ValueError, EOFError) as error:  # an empty file is the latter
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(
            f"no .npy array ({reason})", "write it with numpy.save", path=path
        ) from None
    return matrix


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot be read ({error.strerror or error})", "check the file", path=path
    )


def _array(features: Features) -> np.ndarray[Any, Any]:
    if isinstance(features, Tensor):
        x = features.detach().cpu()
        return (x.float() if x.dtype == torch.bfloat16 else x).numpy()
    return np.asarray(features)
