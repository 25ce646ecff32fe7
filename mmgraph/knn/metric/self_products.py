"""Products of a table with itself, made from a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mmgraph.knn.metric.tolerance import product_tolerance
from mmgraph.knn.rows.chunks import rows_at_once
from mmgraph.knn.search.backends import scores


@dataclass(frozen=True)
class SelfProducts:
    r"""One symmetric product from which both rows of a pair read their score.

    :math:`P_{ij} = \langle r_i, r_j \rangle` is the same for centre i and neighbour j
    as for centre j and neighbour i, and the score of j in the list of i is
    :math:`P_{ij} g_j + o_j`. A float32 copy of the table is never made.

    Attributes:
        x: Features ``[N, D]``.
        row: Rows of ``x`` to use, int64 ``[U]``, or None for all.
        divisor: ``[U]``; r is x (minus ``mean``) divided by it.
        mean: ``[D]`` or None.
        gain: float32 ``[U]`` or None, which stands for 1.
        offset: float32 ``[U]`` or None, which stands for 0.
        tolerance: A pair whose score lies further than this below that of another
            cannot have the larger or an equal similarity.
    """

    x: Tensor
    row: Tensor | None
    divisor: Tensor
    mean: Tensor | None
    gain: Tensor | None
    offset: Tensor | None
    tolerance: float

    def __len__(self) -> int:
        return len(self.divisor)

    def rows(self, start: int, stop: int) -> Tensor:
        """The float32 rows r of ``start`` to ``stop``.

        Example:
            >>> x = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
            >>> norm = torch.tensor([5.0, 2.0], dtype=torch.float64)
            >>> self_products(x, norm, "cosine").rows(0, 1)
            tensor([[0.6000, 0.8000]])
        """
        return self._take(slice(start, stop))

    def _take(self, where: slice | Tensor) -> Tensor:
        part = self.x[where if self.row is None else self.row[where]]
        if self.mean is not None:
            part = part - self.mean
        return (part / self.divisor[where, None]).float()

    def score(self, product: Tensor, start: int, stop: int) -> Tensor:
        """Scores of the neighbours ``start`` to ``stop``, the columns given.

        Example:
            >>> x = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
            >>> norm = torch.tensor([5.0, 2.0], dtype=torch.float64)
            >>> self_products(x, norm, "ip").score(torch.ones(1, 2), 0, 2)
            tensor([[1.0000, 0.4000]])
        """
        if self.gain is not None:
            product = product * self.gain[start:stop]
        if self.offset is not None:
            product = product + self.offset[start:stop]
        return product

    def score_of(self, similarity: Tensor, centre: slice) -> Tensor:
        """The float64 scores that pairs of given similarity have, a pair per centre.

        Example:
            >>> x = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
            >>> norm = torch.tensor([5.0, 2.0], dtype=torch.float64)
            >>> table = self_products(x, norm, "ip")
            >>> table.score_of(torch.tensor([8.0]), slice(0, 1))
            tensor([0.3200], dtype=torch.float64)
        """
        similarity, divisor = similarity.double(), self.divisor[centre].double()
        if self.gain is not None:
            return similarity / (divisor * self.divisor.max())
        if self.offset is not None:
            return similarity / divisor.square() / 2 - self.offset[centre]
        return similarity

    def full_scores(self, centre: Tensor) -> Tensor:
        """Scores of a few centres for all rows.

        Example:
            >>> x = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
            >>> norm = torch.tensor([5.0, 2.0], dtype=torch.float64)
            >>> self_products(x, norm, "cosine").full_scores(torch.tensor([1]))
            tensor([[0.8000, 1.0000]])
        """
        query = self._take(centre)
        step = max(256, 2**21 // self.x.size(1))
        parts = [
            self.score(scores(query, self.rows(i, i + step)), i, i + step)
            for i in range(0, len(self), step)
        ]
        return torch.cat(parts, 1)


def self_products(
    x: Tensor, norm: Tensor, metric: str, row: Tensor | None = None
) -> SelfProducts:
    """Map a metric to one symmetric product, a gain and an offset.

    ``cosine``: unit rows. ``ip``: unit rows, the neighbour's norm as gain (a centre's
    list does not change when its row is scaled). ``l2``: ``|x - y|^2 = |x|^2 -
    2 (<x, y> - |y|^2 / 2)`` of centred rows, ``-|y|^2 / 2`` as offset.

    The 8 spare roundings of
    :func:`~mmgraph.knn.metric.tolerance.product_tolerance` also cover a divisor in
    float32, the gain and the offset.

    Args:
        x: Features.
        norm: ``row_norms(x)``, of the chosen rows.
        metric: ``cosine``, ``ip`` or ``l2``.
        row: Rows to use, none of them zero; all by default.

    Returns:
        The rows, blocks of which are made when they are asked for.

    Shapes:
        x: ``[N, D]``; norm and row: ``[U]``.

    Example:
        >>> x = torch.tensor([[1.0], [3.0]])
        >>> self_products(x, x[:, 0].double(), "l2").rows(0, 2)
        tensor([[-1.],
                [ 1.]])
    """
    tolerance = product_tolerance(x.size(1), metric)
    if metric == "l2":
        # Any mean will do, since distances do not see it: that of float32 rows is
        # rounded to float32, and the rows stay as cheap as the others.
        wide = x.dtype == torch.float64
        mean = _mean(x, row).to(torch.float64 if wide else torch.float32)
        length = _lengths(x, row, mean)
        scale = length.max()
        scale = scale.where(scale > 0, 1.0)
        offset = -((length / scale).square() / 2).float()
        divisor = scale.to(mean.dtype).expand_as(norm)
        return SelfProducts(x, row, divisor, mean, None, offset, tolerance)
    gain = (norm / norm.max()).float() if metric == "ip" else None
    # Division in float32 is several times faster, and safe where nothing overflows.
    narrow = float(norm.min()) > 1e-30 and float(norm.max()) < 1e30
    divisor = norm.float() if narrow else norm
    return SelfProducts(x, row, divisor, None, gain, None, tolerance)


def _blocks(x: Tensor, row: Tensor | None) -> Iterator[Tensor]:
    step = rows_at_once(x)
    if row is None:
        yield from x.split(step)
    else:
        yield from (x[part] for part in row.split(step))


def _mean(x: Tensor, row: Tensor | None) -> Tensor:
    total = x.new_zeros(x.size(1), dtype=torch.float64)
    for block in _blocks(x, row):
        total += block.sum(0, dtype=torch.float64)
    return total / (len(x) if row is None else len(row))


def _lengths(x: Tensor, row: Tensor | None, mean: Tensor) -> Tensor:
    parts = [(block - mean).double().square_().sum(1) for block in _blocks(x, row)]
    return torch.cat(parts).sqrt_()
