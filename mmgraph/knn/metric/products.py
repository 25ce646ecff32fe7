"""Metrics as float32 inner products: the map from one to the other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mmgraph.functional.block_sizes import READ, WORKING_COPY
from mmgraph.knn.rows.matrix_statistics import MatrixStatistics
from mmgraph.knn.rows.row_norms import row_norms
from mmgraph.knn.rows.row_source import RowSource

_ROUNDING = 2.0**-24  # unit roundoff of float32


@dataclass(frozen=True)
class MetricProducts:
    r"""A metric as inner products of bounded rounding error.

    The score of neighbour j of centre i orders them as the metric does:

    .. math:: s_{ij} = \langle r_i, r_j \rangle\, g_j + o_j

    ``cosine``: :math:`r = x / |x|`. ``ip``: the same with the gain :math:`g_j = |x_j|`
    over the largest norm, since scaling a centre leaves its neighbours alone.
    ``l2``: :math:`r = (x - c) / s`, with the offset :math:`o_j = -|r_j|^2 / 2`, since
    :math:`|x - y|^2 = |x|^2 - 2 (\langle x, y \rangle - |y|^2 / 2)`; centring leaves
    distances alone and loses fewer digits. No :math:`r_i` and no :math:`r_j g_j` is
    longer than 1.

    A row alone, and what is known of the whole matrix, say where the row goes; so
    products of two blocks are comparable with those of any other two.

    Attributes:
        metric: ``cosine``, ``ip`` or ``l2``.
        centre: For ``l2`` c, ``[D]``.
        scale: For ``l2`` s, the largest distance from c; for ``ip`` the largest norm.

    Example:
        >>> products = MetricProducts("ip", torch.zeros(2), 5.0)
        >>> x, norm = torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([5.0, 2.0])
        >>> products.centres(x, norm) @ products.neighbours(x, norm).T
        tensor([[1.0000, 0.3200],
                [0.8000, 0.4000]])
    """

    metric: str
    centre: Tensor
    scale: float

    @property
    def tolerance(self) -> float:
        """:func:`product_tolerance` of these products."""
        return product_tolerance(len(self.centre), self.metric)

    def rows(self, x: Tensor, norm: Tensor) -> Tensor:
        """Rows r, computed in the dtype of norm and centre, then rounded to float32.

        Args:
            x: Rows, none of them zero.
            norm: Their norms.

        Shapes:
            x: ``[B, D]``; norm: ``[B]``; returns float32 ``[B, D]``.
        """
        if self.metric == "l2":
            return ((x - self.centre.to(x.device)) / self.scale).float()
        return (x / norm[:, None]).float()

    def gain(self, norm: Tensor) -> Tensor | None:
        """Gains g of rows of these norms, float32, or None where all are 1."""
        return (norm / self.scale).float() if self.metric == "ip" else None

    def offset(self, distance: Tensor) -> Tensor:
        """Offsets o for ``l2``, float32, of rows at these distances from c."""
        return -((distance / self.scale).square() / 2).float()

    def centres(self, x: Tensor, norm: Tensor) -> Tensor:
        """Rows as centres, whose plain products with neighbours are scores.

        Args:
            x: Rows, none of them zero.
            norm: Their norms, float64.

        Shapes:
            x: ``[B, D]``; norm: ``[B]``; returns float32 ``[B, D]``, for ``l2`` with a
            column of ones more.
        """
        result = self._matrix(x, norm)
        if self.metric == "l2":
            result[:, -1] = 1
        return result

    def neighbours(self, x: Tensor, norm: Tensor) -> Tensor:
        """Rows as neighbours: r g, for ``l2`` with a column o; as :meth:`centres`."""
        if self.metric == "ip":  # rounded once
            norm = torch.full_like(norm, self.scale)
        result = self._matrix(x, norm)
        if self.metric == "l2":
            result[:, -1] = self.offset(distances(x, self.centre))
        return result

    def _matrix(self, x: Tensor, norm: Tensor) -> Tensor:
        """Rows r, made in pieces, for ``l2`` with room for a column."""
        num_rows, dim = x.shape
        shape = (num_rows, dim + (self.metric == "l2"))
        result = torch.empty(shape, dtype=torch.float32, device=x.device)
        step = WORKING_COPY.rows(dim, x.device)
        for start in range(0, num_rows, step):
            part = slice(start, start + step)
            result[part, :dim] = self.rows(x[part], norm[part])
        return result


def metric_products(
    source: RowSource | Tensor, statistics: MatrixStatistics, metric: str
) -> MetricProducts:
    """The products of a metric for a matrix, which is read once more for ``l2``.

    Args:
        source: The matrix.
        statistics: Its statistics, made for this metric.
        metric: ``cosine``, ``ip`` or ``l2``.

    Example:
        >>> from mmgraph.knn.rows.matrix_statistics import matrix_statistics
        >>> x = torch.tensor([[1.0], [5.0]])
        >>> products = metric_products(x, matrix_statistics(x, "l2"), "l2")
        >>> products.centre.tolist(), products.scale
        ([3.0], 2.0)
    """
    scale = 1.0
    if metric == "ip" and len(statistics.norm):
        scale = float(statistics.norm.max())
    if metric == "l2":
        scale = _radius(source, statistics)
    return MetricProducts(metric, statistics.centre, scale or 1.0)


def _radius(source: RowSource | Tensor, statistics: MatrixStatistics) -> float:
    """Largest distance from the centre of a row that takes part."""
    num_rows, dim = source.shape
    step, radius = READ.rows(dim), 0.0
    for start in range(0, num_rows, step):
        part = slice(start, start + step)
        rows = source[part][statistics.norm[part] > 0]
        if len(rows):
            radius = max(radius, float(distances(rows, statistics.centre).max()))
    return radius


def distances(x: Tensor, centre: Tensor) -> Tensor:
    """Euclidean distance of every row from one point, accumulated in float64.

    Shapes:
        x: ``[N, D]``; centre: ``[D]``; returns float64 ``[N]``.

    Example:
        >>> distances(torch.tensor([[3.0, 5.0]]), torch.tensor([0.0, 1.0])).tolist()
        [5.0]
    """
    pieces, centre = WORKING_COPY.split(x), centre.to(x.device)
    return torch.cat([row_norms(rows - centre) for rows in pieces])


def product_tolerance(dim: int, metric: str) -> float:
    """A score this far below another cannot be that of an equal or larger similarity.

    A float32 sum of D products is off by at most ``D u sum|a b|`` in any order of
    summation (Higham, Accuracy and Stability of Numerical Algorithms, 2002, eq. 3.5).
    The sum is at most 1 for rows of length 1 at most, and 3/2 for ``l2``, whose
    scores also carry half a squared length. Two scores are compared; rounding rows,
    norm, gain, offset and the final similarity adds a few ``u``, for which 8 are spare.

    Args:
        dim: Columns of the features.
        metric: ``cosine``, ``ip`` or ``l2``.

    Returns:
        The tolerance, for rows scaled to length 1 at most.

    Example:
        >>> product_tolerance(4096, "cosine") < 1e-3
        True
    """
    return (3.2 if metric == "l2" else 2.1) * (dim + 8) * _ROUNDING
