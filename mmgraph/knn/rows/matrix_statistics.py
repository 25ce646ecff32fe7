"""Statistics of a whole feature matrix that every search needs beforehand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmgraph.errors import UserError
from mmgraph.functional.block_sizes import READ
from mmgraph.knn.options import check_options
from mmgraph.knn.rows.duplicates import distinct_rows, later_copies, row_digests
from mmgraph.knn.rows.row_norms import row_norms
from mmgraph.knn.rows.row_source import RowSource


@dataclass(frozen=True)
class MatrixStatistics:
    """Rows that take part in the graph, and reasons why others do not.

    Attributes:
        norm: float64 ``[N]``, the norm of every row that takes part in the graph, 0
            for the others: zero rows, isolated rows and collapsed copies.
        centre: float64 ``[D]``: for ``l2`` the mean of the rows that are finite and
            not zero, else zeros.
        sha256: SHA-256 of shape and values; of a float32 matrix the same as
            :func:`mmgraph.knn.digest.feature_digest`. Empty where nobody asks.
        zero_rows: Rows of zeros.
        nan_rows: Rows with NaN or infinity.
        collapsed_rows: Copies left out.
    """

    norm: Tensor
    centre: Tensor
    sha256: str = ""
    zero_rows: int = 0
    nan_rows: int = 0
    collapsed_rows: int = 0

    @property
    def row(self) -> Tensor:
        """The rows that take part, int64, ascending."""
        return self.norm.nonzero().flatten()


def matrix_statistics(
    source: RowSource | Tensor,
    metric: str,
    *,
    nan: str = "refuse",
    zero: str = "isolate",
    duplicates: str = "keep",
    hashed: bool = False,
) -> MatrixStatistics:
    """Read the matrix once and classify its rows.

    Args:
        source: The matrix; a tensor is taken as one piece, on its device.
        metric: ``cosine``, ``ip`` or ``l2``.
        nan: ``refuse`` a row with NaN or infinity, or ``isolate`` it as a zero row is.
        zero: ``isolate`` a row of zeros, or ``refuse`` it.
        duplicates: ``keep`` equal rows, or ``collapse`` them onto the first of each
            group; from a file, their digests take 16 bytes a row meanwhile.
        hashed: Make the SHA-256, too.

    Returns:
        The statistics; they do not depend on how the matrix is read.

    Raises:
        ValueError: A policy is unknown, a row is refused, or the norms are out of the
            range that float32 can square; a ``UserError`` where there is a file.

    Example:
        >>> x = np.array([[3.0, 4.0], [0.0, 0.0], [3.0, 4.0], [0.0, np.nan]])
        >>> options = {"nan": "isolate", "duplicates": "collapse"}
        >>> statistics = matrix_statistics(RowSource(x), "ip", **options)
        >>> statistics.norm.tolist(), statistics.nan_rows
        ([5.0, 0.0, 0.0, 0.0], 1)
    """
    check_options(nan=nan, zero=zero, duplicates=duplicates)
    num_rows, dim = source.shape
    device = source.device if isinstance(source, Tensor) else None
    norm = torch.zeros(num_rows, dtype=torch.float64, device=device)
    centre = torch.zeros(dim, dtype=torch.float64, device=device)
    streamed = isinstance(source, RowSource) and duplicates == "collapse"
    digests = np.empty((num_rows if streamed else 0, 2), np.uint64)
    sha256 = hashlib.sha256(np.array(source.shape, dtype="<i8").tobytes())
    nan_rows = 0
    for start, rows in _pieces(source):
        part = slice(start, start + len(rows))
        if hashed:
            values = rows.cpu().numpy()
            little = values.dtype.newbyteorder("<")
            sha256.update(values.astype(little, copy=False).data)
        if streamed:
            digests[part] = row_digests(rows)
        norm[part], broken = _classify(source, rows, start, nan=nan, zero=zero)
        nan_rows += int(broken.sum())
        if metric == "l2":
            usable = rows[~broken] if broken.any() else rows
            centre += usable.sum(0, dtype=torch.float64)
    num_usable = int(norm.count_nonzero())
    _check_range(source, norm, metric)
    if duplicates == "collapse":
        norm[later_copies(digests) if streamed else _copies(source[:], norm)] = 0.0
    return MatrixStatistics(
        norm,
        centre / max(1, num_usable),
        sha256.hexdigest() if hashed else "",
        zero_rows=num_rows - num_usable - nan_rows,
        nan_rows=nan_rows,
        collapsed_rows=num_usable - int(norm.count_nonzero()),
    )


def _pieces(source: RowSource | Tensor) -> Iterator[tuple[int, Tensor]]:
    num_rows, dim = source.shape
    step = READ.rows(dim) if isinstance(source, RowSource) else max(1, num_rows)
    for start in range(0, num_rows, step):
        yield start, source[start : start + step]


def _classify(
    source: RowSource | Tensor, rows: Tensor, start: int, *, nan: str, zero: str
) -> tuple[Tensor, Tensor]:
    """Norms, 0 for a row that is not finite, and a mask of those."""
    norm = row_norms(rows)
    if zero == "refuse" and not norm.all():
        first = start + int((norm == 0).nonzero()[0])
        raise _refusal(source, f"row {first} is zero", _isolating("zero"))
    broken = ~norm.isfinite()
    if nan == "refuse" and broken.any():
        first = start + int(broken.nonzero()[0])
        what = f"features must be finite: row {first} holds NaN or infinity"
        raise _refusal(source, what, _isolating("nan"))
    return norm.masked_fill_(broken, 0.0), broken


def _isolating(policy: str) -> str:
    return f"mend it, or isolate such rows: {policy}='isolate' or --{policy} isolate"


def _check_range(source: RowSource | Tensor, norm: Tensor, metric: str) -> None:
    """Refuse lengths that float32 products cannot hold; cosine divides them out."""
    longest = float(norm.max()) if len(norm) else 0.0
    if metric != "cosine" and longest and not 1e-15 < longest < 1e15:
        what = (
            f"metric {metric!r} needs row norms between 1e-15 and 1e15: rescale the "
            f"features (got {longest:.3g})"
        )
        raise _refusal(source, what, "divide all values by one number")


def _refusal(source: RowSource | Tensor, what: str, fix: str) -> ValueError:
    path = None if isinstance(source, Tensor) else source.path
    return ValueError(what) if path is None else UserError(what, fix, path=path)


def _copies(x: Tensor, norm: Tensor) -> Tensor:
    """Rows of a matrix in memory that have an equal row before them."""
    row = norm.nonzero().flatten()
    first, group = distinct_rows(x, row if len(row) < len(x) else None)
    is_copy = first[group] != torch.arange(len(group), device=x.device)
    return row[is_copy]
