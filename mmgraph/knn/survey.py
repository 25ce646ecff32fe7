"""What must be known of a whole table before its blocks can be searched."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch
from torch import Tensor

from mmgraph.errors import UserError
from mmgraph.knn.row_source import RowSource
from mmgraph.knn.similarity import METRICS, row_norms

_BYTES = 2**24  # read at a time


@dataclass(frozen=True)
class Survey:
    """One pass over a table, two for ``l2``.

    Attributes:
        norm: float64 ``[N]``, the norm of every row.
        centre: float64 ``[D]``: for ``l2`` the mean of the rows that are not zero,
            else zeros.
        scale: For ``l2`` the largest distance from ``centre``, for ``ip`` the largest
            norm, for ``cosine`` 1.
        sha256: SHA-256 of shape and values; of a float32 table the same as
            :func:`mmgraph.knn.report.feature_digest`.
    """

    norm: Tensor
    centre: Tensor
    scale: float
    sha256: str


def check_options(k: int, metric: str) -> None:
    """Refuse a bad ``k`` or ``metric`` before anything is read.

    Raises:
        ValueError: An option is out of range.

    Example:
        >>> check_options(10, "cosine")
    """
    if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
        raise ValueError(f"k must be a positive integer (got {k!r})")
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {METRICS} (got {metric!r})")


def survey(source: RowSource, metric: str) -> Survey:
    """Read the table once and keep what every block needs.

    Args:
        source: The table.
        metric: ``cosine``, ``ip`` or ``l2``.

    Returns:
        The survey; it does not depend on how the table is read.

    Raises:
        ValueError: A row is not finite, or the norms are out of the range that
            float32 can square.

    Example:
        >>> found = survey(RowSource(np.array([[3.0, 4.0], [0.0, 0.0]])), "ip")
        >>> found.norm.tolist(), found.scale
        ([5.0, 0.0], 5.0)
    """
    num_rows, dim = source.shape
    norm = torch.zeros(num_rows, dtype=torch.float64)
    total = torch.zeros(dim, dtype=torch.float64)
    digest = hashlib.sha256(np.array(source.shape, dtype="<i8").tobytes())
    step = max(1, _BYTES // (8 * dim))
    for start in range(0, num_rows, step):
        rows = source.read(start, min(start + step, num_rows))
        values = rows.numpy()
        digest.update(values.astype(values.dtype.newbyteorder("<"), copy=False).data)
        own = norm[start : start + step] = row_norms(rows)
        if not own.isfinite().all():
            bad = start + int((~own.isfinite()).nonzero()[0])
            what = f"features must be finite: row {bad} holds NaN or infinity"
            if source.path is None:
                raise ValueError(what)
            raise UserError(what, "mend it or set the row to zero", path=source.path)
        total += rows.sum(0, dtype=torch.float64)
    longest = float(norm.max()) if num_rows else 0.0
    if metric != "cosine" and longest and not 1e-15 < longest < 1e15:
        what = f"metric {metric!r} needs row norms between 1e-15 and 1e15"
        raise UserError(f"{what} (got {longest:.3g})", "rescale it", path=source.path)
    centre, scale = torch.zeros_like(total), 1.0
    if metric == "ip":
        scale = longest
    if metric == "l2":
        centre = total / max(1, int(norm.count_nonzero()))
        scale = _radius(source, norm, centre, step)
    return Survey(norm, centre, scale or 1.0, digest.hexdigest())


def _radius(source: RowSource, norm: Tensor, centre: Tensor, step: int) -> float:
    """Largest distance of a row that is not zero from the centre."""
    radius = 0.0
    for start in range(0, len(norm), step):
        kept = norm[start : start + step] > 0
        rows = source.read(start, start + len(kept))[kept]
        if len(rows):
            radius = max(radius, float(row_norms(rows - centre).max()))
    return radius
