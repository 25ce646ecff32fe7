"""Products of a matrix with itself, made from a few rows at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mmgraph.functional.block_sizes import READ, WORKING_COPY
from mmgraph.knn.metric.products import MetricProducts, distances
from mmgraph.knn.metric.similarity import pair_similarity
from mmgraph.knn.rows.matrix_statistics import MatrixStatistics
from mmgraph.knn.search.backends import inner_products


@dataclass(frozen=True)
class SelfProducts:
    r"""One symmetric product from which both rows of a pair read their score.

    :math:`P_{ij} = \langle r_i, r_j \rangle` is the same for centre i and neighbour j
    as for centre j and neighbour i; gain and offset of
    :class:`~mmgraph.knn.metric.products.MetricProducts` make it the score of either.
    A float32 copy of the matrix is never made.

    Attributes:
        x: Features ``[N, D]``.
        row: Rows of ``x`` to use, int64 ``[U]``.
        norm: Norms of all rows, float64 ``[N]``.
        products: Map of a row to its products.
        divisor: Norms of the chosen rows, of the dtype to divide in.
        gain: float32 ``[U]``, or None, which stands for 1.
        offset: float32 ``[U]``, or None, which stands for 0.
    """

    x: Tensor
    row: Tensor
    norm: Tensor
    products: MetricProducts
    divisor: Tensor
    gain: Tensor | None
    offset: Tensor | None

    @property
    def tolerance(self) -> float:
        """:func:`mmgraph.knn.metric.products.product_tolerance` of the scores."""
        return self.products.tolerance

    def __len__(self) -> int:
        return len(self.row)

    def rows(self, start: int, stop: int) -> Tensor:
        """The float32 rows r of ``start`` to ``stop``."""
        return self._take(slice(start, stop))

    def _take(self, chosen: slice | Tensor) -> Tensor:
        everything = len(self.row) == len(self.x)
        rows = self.x[chosen if everything else self.row[chosen]]
        return self.products.rows(rows, self.divisor[chosen])

    def score(self, product: Tensor, start: int, stop: int) -> Tensor:
        """Scores of the neighbours ``start`` to ``stop``, the columns given."""
        if self.gain is not None:
            product = product * self.gain[start:stop]
        if self.offset is not None:
            product = product + self.offset[start:stop]
        return product

    def score_of(self, similarity: Tensor, centre: slice) -> Tensor:
        """The float64 scores that pairs of given similarity have, a pair per centre."""
        similarity, scale = similarity.double(), self.products.scale
        if self.gain is not None:
            return similarity / (self.divisor[centre].double() * scale)
        if self.offset is not None:
            return similarity / scale**2 / 2 - self.offset[centre]
        return similarity

    def full_scores(self, centre: Tensor) -> Tensor:
        """Scores of a few centres for all rows."""
        query, step = self._take(centre), READ.rows(self.x.size(1), least=256)
        parts = [
            self.score(inner_products(query, self.rows(i, i + step)), i, i + step)
            for i in range(0, len(self), step)
        ]
        return torch.cat(parts, 1)

    def similarity(self, centre: Tensor, neighbour: Tensor) -> Tensor:
        """Exact similarities of pairs, by their positions in ``row``."""
        return pair_similarity(
            self.x,
            self.row[centre],
            self.row[neighbour],
            metric=self.products.metric,
            norm=self.norm,
        )


def self_products(
    x: Tensor, statistics: MatrixStatistics, metric: str, row: Tensor | None = None
) -> SelfProducts:
    """Map a metric to one symmetric product, a gain and an offset.

    Args:
        x: Features.
        statistics: Of ``x``, made for this metric.
        metric: ``cosine``, ``ip`` or ``l2``.
        row: Rows to use, int64, ascending; all that take part by default.

    Returns:
        The rows, blocks of which are made when they are asked for.

    Shapes:
        x: ``[N, D]``; row: ``[U]``.

    Example:
        >>> from mmgraph.knn.rows.matrix_statistics import matrix_statistics
        >>> x = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
        >>> products = self_products(x, matrix_statistics(x, "ip"), "ip")
        >>> products.rows(0, 1)
        tensor([[0.6000, 0.8000]])
        >>> products.score(torch.ones(1, 2), 0, 2)
        tensor([[1.0000, 0.4000]])
        >>> products.full_scores(torch.tensor([1]))
        tensor([[0.8000, 0.4000]])
        >>> products.score_of(torch.tensor([8.0]), slice(0, 1))
        tensor([0.3200], dtype=torch.float64)
    """
    row = statistics.row if row is None else row
    norm, centre, offset = statistics.norm[row], statistics.centre, None
    scale = float(norm.max())
    if metric == "l2":
        # Any centre will do, since distances do not see it: that of float32 rows is
        # rounded to float32, and the rows stay as cheap as the others.
        centre = centre if x.dtype == torch.float64 else centre.float()
        pieces = row.split(WORKING_COPY.rows(x.size(1)))
        distance = torch.cat([distances(x[piece], centre) for piece in pieces])
        scale = float(distance.max())
    products = MetricProducts(metric, centre, scale or 1.0)
    if metric == "l2":
        offset = products.offset(distance)
    # Division in float32 is several times faster, and safe where nothing overflows.
    in_range = float(norm.min()) > 1e-30 and float(norm.max()) < 1e30
    divisor = norm.float() if in_range else norm
    gain = products.gain(norm)
    return SelfProducts(x, row, statistics.norm, products, divisor, gain, offset)
