"""A feature table that is read a block of rows at a time."""

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
        UserError: The file is no readable ``.npy`` table of real numbers.
        ValueError: The array is none.

    Example:
        >>> RowSource(np.arange(6.0).reshape(3, 2)).read(1, 3)
        tensor([[2., 3.],
                [4., 5.]], dtype=torch.float64)
    """

    def __init__(self, features: Features) -> None:
        self.path = Path(features) if isinstance(features, str | Path) else None
        table = _mapped(self.path) if self.path else _array(features)
        real = table.dtype.kind in "fiub" and table.dtype.itemsize <= 8
        if table.ndim != 2 or table.shape[1] == 0 or not real:
            what = (
                "features must be a table [N, D], D > 0, of real numbers "
                f"(got {[*table.shape]} of {table.dtype})"
            )
            if self.path is None:
                raise ValueError(what)
            raise UserError(what, "save such a table with numpy.save", path=self.path)
        self.shape: tuple[int, int] = (table.shape[0], table.shape[1])
        self.dtype = table.dtype
        # In C order the rows of a file lie one after the other behind its header.
        self._table, self._begin = table, -1
        if self.path and isinstance(table, np.memmap) and table.flags.c_contiguous:
            self._begin = table.offset

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, start: int, stop: int) -> Tensor:
        """Read rows ``start`` to ``stop``; whole numbers become float64.

        Args:
            start: First row.
            stop: One past the last row.

        Returns:
            The rows, in memory of their own.

        Raises:
            UserError: The file cannot be read, or has become shorter.

        Shapes:
            Returns ``[stop - start, D]``.
        """
        native = self.dtype.newbyteorder("=")
        if self.path and self._begin >= 0:
            rows = self._read_file(self.path, start, stop).astype(native, copy=False)
        else:
            rows = np.array(self._table[start:stop], dtype=native, order="C")
        return torch.from_numpy(rows if native.kind == "f" else rows.astype(np.float64))

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
        table = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise UserError("no such file", "check the path", path=path) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    except ValueError as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(
            f"no .npy table ({reason})", "write it with numpy.save", path=path
        ) from None
    return table


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot be read ({error.strerror or error})", "check the file", path=path
    )


def _array(features: Features) -> np.ndarray[Any, Any]:
    if isinstance(features, Tensor):
        x = features.detach().cpu()
        return (x.float() if x.dtype == torch.bfloat16 else x).numpy()
    return np.asarray(features)
