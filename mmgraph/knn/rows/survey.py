"""What must be known of a whole table before its blocks can be searched."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch
from torch import Tensor

from mmgraph.errors import UserError
from mmgraph.knn.metric.similarity import METRICS, row_norms
from mmgraph.knn.rows.row_digests import later_copies, row_digests
from mmgraph.knn.rows.row_source import RowSource
from mmgraph.knn.rows.usable_rows import check_policies

_BYTES = 2**24  # read at a time


@dataclass(frozen=True)
class Survey:
    """One pass over a table, two for ``l2``.

    Attributes:
        norm: float64 ``[N]``, the norm of every row that takes part in the graph, 0
            for the others: zero rows, isolated rows and collapsed copies.
        centre: float64 ``[D]``: for ``l2`` the mean of the rows that are finite and
            not zero, else zeros.
        scale: For ``l2`` the largest distance from ``centre``, for ``ip`` the largest
            norm, for ``cosine`` 1.
        sha256: SHA-256 of shape and values; of a float32 table the same as
            :func:`mmgraph.knn.digest.feature_digest`. Empty where nobody asks.
        zero_rows: Rows of zeros.
        nan_rows: Rows with NaN or infinity.
        collapsed_rows: Copies left out.
    """

    norm: Tensor
    centre: Tensor
    scale: float
    sha256: str = ""
    zero_rows: int = 0
    nan_rows: int = 0
    collapsed_rows: int = 0


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


def survey(
    source: RowSource,
    metric: str,
    *,
    nan: str = "refuse",
    zero: str = "isolate",
    duplicates: str = "keep",
) -> Survey:
    """Read the table once and keep what every block needs.

    Args:
        source: The table.
        metric: ``cosine``, ``ip`` or ``l2``.
        nan: ``refuse`` a row with NaN or infinity, or ``isolate`` it as a zero row is.
        zero: ``isolate`` a row of zeros, or ``refuse`` it.
        duplicates: ``keep`` equal rows, or ``collapse`` them onto the first of each
            group; their digests take 16 bytes a row until the survey is made.

    Returns:
        The survey; it does not depend on how the table is read.

    Raises:
        ValueError: A policy is unknown, a row is refused, or the norms are out of the
            range that float32 can square.

    Example:
        >>> x = np.array([[3.0, 4.0], [0.0, 0.0], [3.0, 4.0], [0.0, np.nan]])
        >>> found = survey(RowSource(x), "ip", nan="isolate", duplicates="collapse")
        >>> found.norm.tolist(), found.scale
        ([5.0, 0.0, 0.0, 0.0], 5.0)
    """
    check_policies(nan, duplicates)
    if zero not in ("isolate", "refuse"):
        raise ValueError(f"zero must be 'isolate' or 'refuse' (got {zero!r})")
    num_rows, dim = source.shape
    norm = torch.zeros(num_rows, dtype=torch.float64)
    total = torch.zeros(dim, dtype=torch.float64)
    digests = np.empty((num_rows if duplicates == "collapse" else 0, 2), np.uint64)
    sha256 = hashlib.sha256(np.array(source.shape, dtype="<i8").tobytes())
    step, nan_rows = max(1, _BYTES // (8 * dim)), 0
    for start in range(0, num_rows, step):
        rows = source.read(start, min(start + step, num_rows))
        values = rows.numpy()
        sha256.update(values.astype(values.dtype.newbyteorder("<"), copy=False).data)
        if len(digests):
            digests[start : start + step] = row_digests(rows)
        own = row_norms(rows)
        if zero == "refuse" and not own.all():
            bad = start + int((own == 0).nonzero()[0])
            raise _refused(source, f"row {bad} is zero", "zero")
        broken = ~own.isfinite()
        if broken.any():
            if nan == "refuse":
                bad = start + int(broken.nonzero()[0])
                what = f"features must be finite: row {bad} holds NaN or infinity"
                raise _refused(source, what, "nan")
            nan_rows += int(broken.sum())
            own[broken] = 0.0
            rows = rows[~broken]
        norm[start : start + step] = own
        total += rows.sum(0, dtype=torch.float64)
    kept = norm.nonzero().flatten()
    longest = float(norm.max()) if num_rows else 0.0
    if metric != "cosine" and longest and not 1e-15 < longest < 1e15:
        what = f"metric {metric!r} needs row norms between 1e-15 and 1e15"
        raise UserError(f"{what} (got {longest:.3g})", "rescale it", path=source.path)
    centre, scale = torch.zeros_like(total), 1.0
    if metric == "ip":
        scale = longest
    if metric == "l2":
        centre = total / max(1, len(kept))
        scale = _radius(source, norm, centre, step)
    copies = torch.from_numpy(later_copies(digests))
    copies = copies[norm[copies] > 0]  # rows left out anyhow are no copies
    norm[copies] = 0.0
    return Survey(
        norm,
        centre,
        scale or 1.0,
        sha256.hexdigest(),
        zero_rows=num_rows - len(kept) - nan_rows,
        nan_rows=nan_rows,
        collapsed_rows=len(copies),
    )


def _refused(source: RowSource, what: str, policy: str) -> ValueError:
    if source.path is None:
        return ValueError(what)
    fix = f"mend it, or isolate such rows: {policy}='isolate' or --{policy} isolate"
    return UserError(what, fix, path=source.path)


def _radius(source: RowSource, norm: Tensor, centre: Tensor, step: int) -> float:
    """Largest distance of a row that is not zero from the centre."""
    radius = 0.0
    for start in range(0, len(norm), step):
        kept = norm[start : start + step] > 0
        rows = source.read(start, start + len(kept))[kept]
        if len(rows):
            radius = max(radius, float(row_norms(rows - centre).max()))
    return radius
