"""Blocks of rows whose float32 products order candidates as a metric does."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mmgraph.knn.metric.tolerance import product_tolerance
from mmgraph.knn.rows.chunks import divided_rows, rows_at_once
from mmgraph.knn.rows.survey import Survey


@dataclass(frozen=True)
class BlockProducts:
    """Every metric as inner products of bounded rounding error.

    A row alone, and what the survey of the whole table knows, say where the row goes;
    so products of two blocks are comparable with those of any other two. A centre's
    list does not change when its row is scaled: centres are ``x / |x|``; for ``l2``
    ``(x - mean) / scale`` and a column of ones. Neighbours are ``x / |x|`` for
    ``cosine``, ``x / scale`` for ``ip``, and for ``l2`` ``(x - mean) / scale`` and a
    column with minus half its squared length, since ``|x - y|^2 = |x|^2 - 2 (<x, y> -
    |y|^2 / 2)``. Centring leaves distances alone and loses fewer digits.

    Attributes:
        metric: ``cosine``, ``ip`` or ``l2``.
        survey: Of the table that the blocks come from.

    Example:
        >>> from mmgraph.knn.rows.row_source import RowSource
        >>> from mmgraph.knn.rows.survey import survey
        >>> x = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
        >>> found = survey(RowSource(x), "ip")
        >>> products = BlockProducts("ip", found)
        >>> products.centres(x, found.norm) @ products.neighbours(x, found.norm).T
        tensor([[1.0000, 0.3200],
                [0.8000, 0.4000]])
    """

    metric: str
    survey: Survey

    @property
    def tolerance(self) -> float:
        """:func:`mmgraph.knn.metric.tolerance.product_tolerance` of these products."""
        return product_tolerance(len(self.survey.centre), self.metric)

    def centres(self, x: Tensor, norm: Tensor) -> Tensor:
        """Rows as centres.

        Args:
            x: Rows, none of them zero.
            norm: Their norms.

        Shapes:
            x: ``[B, D]``; norm: ``[B]``; returns float32 ``[B, D]``, one column more
            for ``l2``.
        """
        if self.metric == "l2":
            result, _ = self._centred(x)
            result[:, -1] = 1
            return result
        return divided_rows(x, norm)

    def neighbours(self, x: Tensor, norm: Tensor) -> Tensor:
        """Rows as neighbours; arguments and shape as for :meth:`centres`."""
        if self.metric == "l2":
            result, length = self._centred(x)
            result[:, -1] = -length.square() / 2
            return result
        if self.metric == "ip":
            norm = torch.full_like(norm, self.survey.scale)
        return divided_rows(x, norm)

    def _centred(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Rows about the mean with room for a column, and their float64 lengths."""
        result = torch.empty(
            (len(x), x.size(1) + 1), dtype=torch.float32, device=x.device
        )
        length = torch.empty(len(x), dtype=torch.float64, device=x.device)
        mean = self.survey.centre.to(x.device)
        step = rows_at_once(x)
        for start in range(0, len(x), step):
            part = slice(start, start + step)
            rows = (x[part] - mean) / self.survey.scale
            result[part, :-1] = rows
            length[part] = rows.square().sum(1).sqrt_()
        return result, length
